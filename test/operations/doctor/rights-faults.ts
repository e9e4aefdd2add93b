// Faults of the rights of a Redis user: it has what docs/redis.md lists, less something.

import { RedisServer } from '../../support/redis-server.js'
import type { Fault, StagedFault } from './fault.js'
import { Stage } from './staging.js'

/** @param changes what is given and taken after all that is needed; PREFIX stands for the shop's */
function lacking(...changes: string[]): () => Promise<StagedFault> {
  return lackingWith('Ex', ...changes)
}

/** @param flags of notify-keyspace-events */
function lackingWith(flags: string, ...changes: string[]): () => Promise<StagedFault> {
  return async () => {
    const server = await RedisServer.start(['--notify-keyspace-events', flags])
    const stage = await Stage.open({ redisUrl: server.url })
    const { prefix } = stage.shop.redis
    const all = `on >secret resetkeys ~${prefix}* resetchannels &__keyevent@0__:expired &${prefix}order-timers:wake +@read +@write +@scripting +@connection +@pubsub +time +info`
    await stage.admin.call('ACL', 'SETUSER', 'shop', ...all.split(' '), ...changes.map((one) => one.replace('PREFIX', prefix)))
    stage.look({ redis: server.url.replace('redis://', 'redis://shop:secret@') })
    return { stage, end: () => server.stop() }
  }
}

export const RIGHTS_FAULTS: Fault[] = [
  { what: 'The user of Redis may not call a command', name: 'redis.rights', also: ['redis.writes'], stage: lacking('-zadd') },
  { what: 'The user of Redis may not run scripts', name: 'redis.rights', also: ['redis.writes'], stage: lacking('-@scripting') },
  {
    what: 'The user of Redis may not use the keys of the due index',
    name: 'redis.rights',
    also: ['redis.writes'],
    stage: lacking('resetkeys', '~PREFIXorder_*'),
  },
  {
    what: 'The user of Redis may not use the keys of a rule',
    name: 'redis.rights',
    stage: lacking('resetkeys', '~PREFIXorder-timers:*', '~PREFIXorder_pay:*'),
  },
  {
    what: 'The user of Redis may only read the keys of a rule',
    name: 'redis.rights',
    stage: lacking('resetkeys', '~PREFIXorder-timers:*', '~PREFIXorder_pay:*', '%R~PREFIXorder_confirm:*'),
  },
  {
    what: 'The user of Redis may not hear expiry events',
    name: 'redis.rights',
    also: ['redis.events'],
    stage: lacking('resetchannels', '&PREFIXorder-timers:wake'),
  },
  {
    what: 'The user of Redis may not hear of keys that get a TTL, which Redis publishes',
    name: 'redis.events',
    verdict: 'advice',
    stage: lackingWith('Exg', '+config|get'),
  },
  {
    what: 'The user of Redis may not use the wake channel',
    name: 'redis.rights',
    stage: lacking('resetchannels', '&__keyevent@0__:expired'),
  },
  { what: 'The user of Redis may not call INFO', name: 'redis.memory', verdict: 'unseen', also: ['redis.rights'], stage: lacking('-info') },
]
