// Faults of a Redis server, each on one of its own.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { transition } from '../../../lib/index.js'
import { RedisServer } from '../../support/redis-server.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { waitUntil } from '../../support/waiting.js'
import type { Fault, StagedFault } from './fault.js'
import { Stage, type StageOptions } from './staging.js'

type Staging = (parts: { stage: Stage; server: RedisServer }) => Promise<Omit<StagedFault, 'stage'> | undefined>

/** @param args redis-server's own */
function onServer(args: string[], setUp: Staging, options: StageOptions = {}): () => Promise<StagedFault> {
  return async () => {
    const server = await RedisServer.start(args)
    const stage = await Stage.open({ redisUrl: server.url, ...options })
    const more = (await setUp({ stage, server })) ?? {}
    const end = async () => {
      await more.end?.()
      await server.stop()
    }
    return { ...more, stage, end }
  }
}

export const REDIS_FAULTS: Fault[] = [
  {
    what: 'Redis is down',
    name: 'redis.reachable',
    stage: onServer([], async ({ server }) => {
      await server.kill()
      return { byHand: () => server.restart() }
    }),
  },
  {
    what: 'Redis stands still',
    name: 'redis.reachable',
    stage: onServer([], async ({ server }) => {
      server.pause()
      return { byHand: async () => server.resume() }
    }),
  },
  {
    what: 'Redis wants a password',
    name: 'redis.reachable',
    stage: onServer([], async ({ stage }) => {
      await stage.admin.config('SET', 'requirepass', 'secret')
      return { byHand: async () => stage.look({ redis: stage.shop.redis.url.replace('redis://', 'redis://:secret@') }) }
    }),
  },
  {
    what: 'The password of Redis is another',
    name: 'redis.reachable',
    stage: onServer([], async ({ stage }) => {
      await stage.admin.config('SET', 'requirepass', 'secret')
      const withPassword = (password: string) => stage.shop.redis.url.replace('redis://', `redis://:${password}@`)
      stage.look({ redis: withPassword('former') })
      return { byHand: async () => stage.look({ redis: withPassword('secret') }) }
    }),
  },
  {
    what: 'A script blocks Redis',
    name: 'redis.reachable',
    stage: onServer(['--lua-time-limit', '50'], async ({ stage, server }) => {
      await stage.admin.connect()
      const blocking = new Redis(server.url)
      blocking.on('error', () => {})
      const ended = blocking.eval('while true do end', 0).catch(() => {})
      await waitUntil(() =>
        stage.admin.ping().then(
          () => false,
          () => true,
        ),
      )
      const end = async () => {
        await ended
        blocking.disconnect()
      }
      return { end }
    }),
  },
  {
    what: 'Redis has too many connections',
    name: 'redis.reachable',
    stage: onServer([], async ({ stage }) => {
      await stage.admin.connect()
      await stage.shop.timers.close()
      const count = Number(/connected_clients:(\d+)/.exec(await stage.admin.info('clients'))?.[1])
      await stage.admin.config('SET', 'maxclients', String(count))
      return {}
    }),
  },
  {
    what: 'The db is one that Redis does not have',
    name: 'redis.reachable',
    stage: onServer([], async ({ stage }) => {
      stage.look({ redis: `${stage.shop.redis.url}/99` })
      return { byHand: async () => stage.look({ redis: `${stage.shop.redis.url}/9` }) }
    }),
  },
  {
    what: 'Redis is a replica',
    name: 'redis.serves',
    also: ['redis.writes'],
    stage: onServer([], async ({ stage }) => {
      const replica = await RedisServer.start()
      const admin = new Redis(replica.url)
      await admin.replicaof('127.0.0.1', Number(new URL(stage.shop.redis.url).port))
      stage.look({ redis: replica.url })
      admin.disconnect()
      return { byHand: async () => stage.look({}), end: () => replica.stop() }
    }),
  },
  {
    what: 'A later version has written the timers in a layout of its own',
    name: 'redis.reachable',
    stage: onServer([], async ({ stage }) => {
      const layout = stage.shop.key('order-timers:layout')
      await stage.admin.hset(layout, { layout: 99, version: '9.9.9' })
      return { byHand: async () => stage.look({ prefix: `${stage.shop.redis.prefix}own:` }), end: () => stage.admin.del(layout) }
    }),
  },
  {
    what: 'Redis is slow to answer',
    name: 'redis.round-trip',
    stage: onServer([], async ({ stage, server }) => {
      const proxy = await TcpProxy.start(server.port)
      stage.look({ redis: `redis://127.0.0.1:${proxy.port}` })
      proxy.delay(80)
      return { byHand: async () => proxy.pass(), end: () => proxy.stop() }
    }),
  },
  {
    what: 'The memory of Redis is full',
    name: 'redis.writes',
    also: ['redis.memory'],
    stage: onServer([], async ({ stage }) => {
      await stage.admin.set('filling', 'x'.repeat(20_000_000))
      await stage.admin.config('SET', 'maxmemory', '10mb')
      return {}
    }),
  },
  {
    what: 'The memory of Redis is nearly full',
    name: 'redis.memory',
    stage: onServer([], async ({ stage }) => {
      await stage.admin.set('filling', 'x'.repeat(50_000_000))
      const used = Number(/used_memory:(\d+)/.exec(await stage.admin.info('memory'))?.[1])
      await stage.admin.config('SET', 'maxmemory', String(Math.round(used / 0.94)))
      return {}
    }),
  },
  {
    what: 'Redis cannot save its data',
    name: 'redis.writes',
    stage: onServer(['--save', '3600 1', '--enable-protected-configs', 'yes'], async ({ stage, server }) => {
      const directory = join(server.directory, 'data')
      const enter = async () => {
        await mkdir(directory, { recursive: true })
        await stage.admin.config('SET', 'dir', directory)
      }
      const status = async () => /rdb_last_bgsave_status:(\w+)/.exec(await stage.admin.info('persistence'))?.[1]
      await enter()
      await stage.admin.set('some', 'data')
      await rm(directory, { recursive: true })
      await stage.admin.bgsave()
      await waitUntil(async () => (await status()) === 'err')
      return { byHand: enter, takesEffect: () => waitUntil(async () => (await status()) === 'ok') }
    }),
  },
  {
    what: 'Redis wants replicas that are not there',
    name: 'redis.writes',
    stage: onServer([], async ({ stage }) => {
      await stage.admin.config('SET', 'min-replicas-to-write', '1')
      return {}
    }),
  },
  {
    what: 'Redis publishes no expiry events',
    name: 'redis.events',
    stage: onServer(['--notify-keyspace-events', ''], async () => undefined),
  },
  {
    what: 'Redis publishes keyspace events, and no keyevent ones',
    name: 'redis.events',
    stage: onServer(['--notify-keyspace-events', 'Kx'], async () => undefined),
  },
  {
    what: 'Redis may evict timers',
    name: 'redis.eviction',
    stage: onServer(['--maxmemory-policy', 'allkeys-lru'], async () => undefined),
  },
  {
    what: 'Timers that Redis alone has are not saved',
    name: 'redis.persistence',
    stage: onServer([], async () => undefined, {
      rules: ({ Order }) => ({ order_pay: transition(Order, { from: 1, to: 0, after: '15m', deadline: false }) }),
    }),
  },
  {
    what: 'Many keys of others have a TTL in the same db',
    name: 'redis.ttl-keys',
    verdict: 'advice',
    stage: onServer([], async ({ stage }) => {
      await stage.admin.eval("for i = 1, 110000 do redis.call('SET', 'session:' .. i, '1', 'EX', 3600) end", 0)
      return { byHand: async () => stage.look({ redis: `${stage.shop.redis.url}/1` }) }
    }),
  },
  {
    what: 'A rule that no process has any more has left timers',
    name: 'redis.left-kinds',
    verdict: 'advice',
    stage: onServer([], async ({ stage }) => {
      const former = stage.other({ order_former: () => {} })
      await waitUntil(() => former.schedule('order_former', 34, { after: '1h' }))
      await former.close()
      return {}
    }),
  },
]
