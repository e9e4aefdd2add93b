// Whether Redis can be reached, lets this user in, and is a server that can serve timers.

import { isReply, replyWord } from '../../redis/replies.js'
import { readUnfitness } from '../../redis/server.js'
import { explain, reasonOf } from '../../redis/trouble.js'
import { byHand, type Check, fine, type Remedy, redisCli, redisConf, unseen, wrong } from './check.js'
import { withoutInfo } from './no-info.js'
import type { SubjectRedis } from './subject.js'

const REACHABLE = 'redis.reachable'
const SERVES = 'redis.serves'

export const redisReachable: Check = {
  name: REACHABLE,
  async look({ redis, runtime }) {
    if (!redis) {
      const expected = 'a Redis that answers, where one is used'
      if (!runtime.enabled) return [unseen(REACHABLE, { expected, found: 'the timers are switched off' })]
      return [fine(REACHABLE, { expected, found: 'not used ("redis" is false): the sweep alone settles' })]
    }
    const { where } = redis.connection
    const expected = `Redis at ${where} answers`
    if (redis.trouble !== undefined) {
      const { why, remedy } = explain(redis.trouble, where)
      return [wrong(REACHABLE, { expected, found: `it does not serve (${why})` }, ...remediesOf(redis.trouble, remedy))]
    }
    return [fine(REACHABLE, { expected, found: 'it answers' }), ...(await fitness(redis))]
  },
}

async function fitness(redis: SubjectRedis) {
  const { connection, info, source, nodes } = redis
  const expected = source.topology === 'cluster' ? 'primaries that serve all slots' : 'a standalone primary'
  const unfit = await readUnfitness(connection)
  if (unfit === undefined) {
    const { found, remedy } = withoutInfo(redis)
    return [unseen(SERVES, { expected, found }, remedy)]
  }
  const version = info?.get('redis_version') ?? ''
  const named = nodes.length > 0 ? `${nodes.length} primaries (${nodes.map(({ address }) => address).join(', ')})` : 'a primary'
  if (unfit === null) return [fine(SERVES, { expected, found: `${named}, Redis ${version}` })]
  const primary = info?.get('master_host')
  const address = primary === undefined ? '' : `: it is at ${primary}:${info?.get('master_port')}`
  return [wrong(SERVES, { expected, found: unfit.what }, byHand(`${unfit.remedy}${address}`))]
}

function remediesOf(trouble: unknown, remedy: string): Remedy[] {
  const reason = reasonOf(trouble)
  const word = isReply(reason) ? replyWord(reason) : ''
  if (word === 'BUSY') return [redisCli('SCRIPT KILL'), byHand('where it has written already, only SHUTDOWN NOSAVE ends it')]
  if (word === 'MAXCLIENTS')
    return [
      redisCli('CONFIG SET maxclients 10000'),
      redisConf('maxclients 10000'),
      byHand('CLIENT LIST shows who holds so many connections'),
    ]
  const { code } = (reason ?? {}) as { code?: string }
  if (code !== 'EPIPE' && code !== 'ECONNRESET') return [byHand(remedy)]
  // A Redis with too many connections closes each new one, and its error message is rarely received.
  return [redisCli('CONFIG SET maxclients 10000'), redisConf('maxclients 10000'), byHand('or it wants TLS: rediss://…')]
}
