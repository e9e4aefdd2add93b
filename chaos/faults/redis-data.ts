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
      await world.withRedis(async (client) => {
        witness.saw(await client.dbsize())
        await client.flushall()
      })
      return undefined
    },
  },
  'redis-keys-removed': {
    lasts: AT_ONCE,
    async strike({ world, witness, random }) {
      await world.withRedis(async (client) => {
        const keys = (await client.keys(`${PREFIX}*`)).filter(() => random.chance(0.5))
        if (keys.length > 0) witness.saw(await client.unlink(...keys))
      })
      return undefined
    },
  },
  'redis-connections-killed': {
    lasts: AT_ONCE,
    async strike({ world, witness }) {
      witness.saw(Number(await world.withRedis((client) => client.call('CLIENT', 'KILL', 'TYPE', 'pubsub'))))
      witness.saw(Number(await world.withRedis((client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))))
      return undefined
    },
  },
  'events-off': {
    lasts: [1000, 4000],
    async strike({ world, witness, random }) {
      const expired = async () => Number(/^expired_keys:(\d+)/m.exec(await world.withRedis((client) => client.info('stats')))?.[1] ?? 0)
      await world.withRedis((client) => client.config('SET', 'notify-keyspace-events', ''))
      const before = await expired()
      const timers = await someTimers(world, random, 50)
      await world.withRedis(async (client) => {
        for (const name of timers) await client.set(PREFIX + name, '1', 'PX', 100)
      })
      return async () => {
        witness.saw(Math.max(0, (await expired()) - before))
        await world.withRedis((client) => client.config('SET', 'notify-keyspace-events', 'Ex'))
      }
    },
  },
  'events-forged': {
    lasts: AT_ONCE,
    async strike({ world, witness, random }) {
      const timers = await someTimers(world, random, 300)
      await world.withRedis(async (client) => {
        const pipeline = client.pipeline()
        for (const name of timers) {
          const key = PREFIX + name
          if (random.chance(0.3)) pipeline.publish('__keyevent@0__:expired', key)
          else if (random.chance(0.4)) pipeline.set(key, '1', 'PX', random.between(1, 300))
          else if (random.chance(0.5)) pipeline.set(key, '1')
          else pipeline.del(key)
        }
        witness.saw((await pipeline.exec())?.length ?? 0)
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
          const pipeline = client.pipeline()
          for (let n = 0; n < 500; n += 1) pipeline.set(`session:${random.between(0, 1e9)}`, 'x', 'PX', random.between(1, 1000))
          for (const text of malformed) pipeline.set(`${PREFIX}order_confirm:${text}`, '1', 'PX', random.between(1, 200))
          witness.saw((await pipeline.exec())?.length ?? 0)
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
