// What Redis holds and tells: data flushed and removed, connections killed, events off, forged, and drowned in others' events.

import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../random.js'
import { RULES } from '../rules.js'
import { PREFIX, type World } from '../world.js'
import { AT_ONCE, type Faults } from './fault.js'

export const REDIS_DATA = {
  'redis-flushed': {
    lasts: AT_ONCE,
    async strike({ world, witness }) {
      await world.onPrimaries(async (client) => {
        witness.saw(await client.dbsize())
        await client.flushall()
      })
      return undefined
    },
  },
  'redis-keys-removed': {
    lasts: AT_ONCE,
    async strike({ world, witness, random }) {
      await world.onPrimaries(async (client) => {
        const keys = (await client.keys(`${PREFIX}*`)).filter(() => random.chance(0.5))
        for (const removed of await Promise.all(keys.map((key) => client.unlink(key)))) witness.saw(removed)
      })
      return undefined
    },
  },
  'redis-connections-killed': {
    lasts: AT_ONCE,
    async strike({ world, witness }) {
      await world.onPrimaries(async (client) => {
        witness.saw(Number(await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')))
        witness.saw(Number(await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')))
      })
      return undefined
    },
  },
  'events-off': {
    lasts: [1000, 4000],
    async strike({ world, witness, random }) {
      const expired = async () => {
        const stats = await world.onPrimaries((client) => client.info('stats'))
        return stats.reduce((sum, text) => sum + Number(/^expired_keys:(\d+)/m.exec(text)?.[1] ?? 0), 0)
      }
      await world.onPrimaries((client) => client.config('SET', 'notify-keyspace-events', ''))
      const before = await expired()
      const timers = await someTimers(world, random, 50)
      await world.withRedis(async (client) => {
        for (const name of timers) await client.set(PREFIX + name, '1', 'PX', 100)
      })
      return async () => {
        witness.saw(Math.max(0, (await expired()) - before))
        await world.onServers((client) => client.config('SET', 'notify-keyspace-events', 'Ex'))
      }
    },
  },
  'events-forged': {
    lasts: AT_ONCE,
    async strike({ world, witness, random }) {
      const timers = await someTimers(world, random, 300)
      await world.withRedis(async (client) => {
        const done = timers.map((name): Promise<unknown> => {
          const key = PREFIX + name
          if (random.chance(0.3)) return client.publish('__keyevent@0__:expired', key)
          if (random.chance(0.4)) return client.set(key, '1', 'PX', random.between(1, 300))
          return random.chance(0.5) ? client.set(key, '1') : client.del(key)
        })
        witness.saw((await Promise.all(done)).length)
      })
      return undefined
    },
  },
  'external-flood': {
    lasts: [500, 2000],
    async strike({ world, witness, random, forMs }) {
      const end = performance.now() + forMs
      const malformed = ['', 'abc', '1:2', '1;DROP TABLE orders--', '99999999999999999999', ' 2 ', '-1', '1\r\n[ERROR] forged']
      while (performance.now() < end) {
        await world.withRedis(async (client) => {
          const sessions = Array.from({ length: 500 }, () => `session:${random.between(0, 1e9)}`)
          const set = sessions.map((name) => client.set(name, 'x', 'PX', random.between(1, 1000)))
          for (const text of malformed) set.push(client.set(`${PREFIX}order_confirm:${text}`, '1', 'PX', random.between(1, 200)))
          witness.saw((await Promise.all(set)).length)
        })
        await delay(100)
      }
      return undefined
    },
  },
} satisfies Faults

/** `kind:id` of orders that were written last, under rules of their table. Rules that only Redis knows are left out: it would do as they say. */
async function someTimers(world: World, random: Random, count: number): Promise<string[]> {
  const sql = 'SELECT DISTINCT table_name AS table, order_id AS id FROM (SELECT * FROM ledger ORDER BY n DESC LIMIT 3000) AS l'
  const { rows } = await world.withPostgres((client) => client.query<{ table: string; id: string }>(sql))
  return random
    .shuffled(rows)
    .slice(0, count)
    .map(({ table, id }) => {
      const rules = RULES.filter((rule) => rule.table === table && rule.deadline !== 'redis')
      return `${random.shuffled(rules)[0]!.kind}:${id}`
    })
}
