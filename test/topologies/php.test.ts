// The old recipe beside ours: PHP ships an order and sets its key with SETEX, and the shop's Node, which mounts the timers, settles it.

import assert from 'node:assert/strict'
import express from 'express'
import request from 'supertest'
import { setByPhp } from '../../bench/php.js'
import { transition } from '../../lib/index.js'
import type { Database } from '../support/database.js'
import { RedisServer } from '../support/redis-server.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const SHIPPED = 4
const CONFIRMED = 5
const COUNT = 200
const SPACING_MS = 5
const MOST_LATE_MS = 2_000

/** What Redis publishes, how many keys of others there are, and how long ours live. With Ex the scan must have found them before they expire. */
const CASES = [
  { events: 'Ex', others: 1_000, seconds: 12, scans: 2 },
  { events: 'Exg', others: 100_000, seconds: 5, scans: 0 },
] as const

describe('Keys that PHP sets with SETEX, in a shop that mounts the timers', () => {
  for (const { events, others, seconds, scans } of CASES) {
    it(`are settled once, at their expiry, with notify-keyspace-events ${events} and ${others} other keys`, async function () {
      if (!process.env.PHP) this.skip()
      const server = await RedisServer.start(['--notify-keyspace-events', events])
      const rules = ({ Order }: Pick<Database, 'Order'>) => ({
        order_confirm: transition(Order, { from: SHIPPED, to: CONFIRMED, deadline: false }),
      })
      const shop = await openShop(rules, { redisUrl: server.url })
      const app = express().use(shop.timers)
      app.get('/orders/:id', async (req, res) => void res.json(await req.orderTimers.remaining('order_confirm', req.params.id)))
      const { client } = shop.redis
      for (let first = 0; first < others; first += 1_000) {
        const pipeline = client.pipeline()
        for (let i = first; i < first + 1_000; i += 1) pipeline.setex(`session:${i}`, 86_400, 'somebody')
        await pipeline.exec()
      }
      const worker = await shop.worker({ fallback: false })
      await waitUntil(() => worker.health().redis?.events === true)
      await waitUntil(() => (worker.health().redis?.externalScans ?? 0) >= scans, { within: 30_000 })
      const orders = await shop.database.Order.bulkCreate(Array.from({ length: COUNT }, () => ({ status: SHIPPED })))
      const expiries = await setByPhp({
        redisUrl: server.url,
        prefix: shop.key('order_confirm:'),
        ...{ seconds, firstId: orders[0]?.id as number, count: COUNT, spacingMs: SPACING_MS },
      })
      const { body } = await request(app).get(`/orders/${orders.at(-1)?.id}`)
      assert.ok(body > 0 && body <= 1_000 * seconds, `the shop says that ${body} ms are left`)
      await waitUntil(() => worker.settled.length >= COUNT, { within: 30_000 })
      const changes = (await shop.database.ledger.changes()).filter(({ to }) => to === CONFIRMED)
      assert.deepEqual(changes.map(({ id }) => Number(id)).sort(byNumber), [...expiries.keys()])
      const late = changes.map(({ id, at }) => at.getTime() - (expiries.get(Number(id)) as number)).sort(byNumber)
      assert.ok((late[0] as number) >= 0, `${late[0]} ms`)
      assert.ok((late.at(-1) as number) < MOST_LATE_MS, `late by ${late.slice(-5).join(', ')} ms`)
      await shop.close()
      await server.stop()
    }).timeout(90_000)
  }
})

function byNumber(a: number, b: number): number {
  return a - b
}
