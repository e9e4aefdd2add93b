// Two shops with the same kinds and the same ids of orders share one Redis, and a prefix keeps them apart.

import assert from 'node:assert/strict'
import { type OrderTimersOptions, transition } from '../../lib/index.js'
import type { Database } from '../support/database.js'
import { RedisCluster } from '../support/redis-cluster.js'
import { Sentinels } from '../support/sentinels.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const COUNT = 20
const SOON_MS = 400
const LATER_MS = 600_000

const rules = ({ Order }: Pick<Database, 'Order'>) => ({
  order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
  order_ship: transition(Order, { from: 2, to: 3, deadline: false }),
})

interface Servers {
  redis: OrderTimersOptions['redis']
  stop(): Promise<void>
}

const TOPOLOGIES: Record<string, () => Promise<Servers>> = {
  'a cluster': async () => {
    const cluster = await RedisCluster.start()
    return { redis: { nodes: cluster.addresses }, stop: () => cluster.stop() }
  },
  'a Redis with Sentinels': async () => {
    const sentinels = await Sentinels.start()
    return { redis: sentinels.options, stop: () => sentinels.stop() }
  },
}

describe('Two shops with a prefix each', () => {
  for (const [where, start] of Object.entries(TOPOLOGIES)) {
    it(`never meet on ${where}: neither settles, moves or removes what the other has`, async () => {
      const { redis, stop } = await start()
      const shops = await Promise.all([openShop(rules, { redis }), openShop(rules, { redis })])
      const [one, two] = shops
      const [ofOne, ofTwo] = [await one.worker({ fallback: false }), await two.worker({ fallback: false })]
      await waitUntil(() => [ofOne, ofTwo].every((worker) => worker.health().redis?.events === true), { within: 30_000 })
      const [ids, sameIds] = await Promise.all(
        shops.map(async ({ database }) => {
          const orders = await database.Order.bulkCreate(Array.from({ length: 2 * COUNT }, (_, i) => ({ status: i < COUNT ? 4 : 2 })))
          return orders.map(({ id }) => id)
        }),
      )
      assert.deepEqual(ids, sameIds)
      const kindOf = (i: number) => (i < COUNT ? 'order_confirm' : 'order_ship')
      const schedule = ({ timers }: (typeof shops)[0], after: number) =>
        Promise.all((ids as number[]).map((id, i) => timers.schedule(kindOf(i), id, { after })))

      await schedule(two, LATER_MS)
      await schedule(one, SOON_MS)
      await waitUntil(() => ofOne.settled.length >= 2 * COUNT, { within: 20_000 })
      const left = await Promise.all((ids as number[]).map((id, i) => two.timers.remaining(kindOf(i), id)))
      assert.ok(
        left.every((ms) => ms !== null && ms > LATER_MS / 2),
        `left are ${left.join(', ')} ms`,
      )
      assert.deepEqual(ofTwo.settled, [])

      await schedule(two, SOON_MS)
      await waitUntil(() => ofTwo.settled.length >= 2 * COUNT, { within: 20_000 })
      for (const { database } of shops) assert.equal((await database.ledger.changes()).length, 2 * COUNT)
      assert.deepEqual([ofOne.settled.length, ofTwo.settled.length], [2 * COUNT, 2 * COUNT])
      await Promise.all(shops.map((shop) => shop.close()))
      await stop()
    }).timeout(120_000)
  }
})
