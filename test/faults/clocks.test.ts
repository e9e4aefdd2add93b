// Clocks that are wrong: the process's, Redis's against Postgres's, and one that is set while it runs. Postgres's clock alone decides.
// Postgres's is moved by functions of the test's schema that stand before the built-in ones on the search_path; so is everything else's.

import assert from 'node:assert/strict'
import { type Database, openDatabase } from '../support/database.js'
import { openShop } from '../support/shop.js'
import { holdsFor, waitUntil } from '../support/waiting.js'
import { startWorkerProcess } from '../support/worker-process.js'
import { confirmed, confirming, countIn, EVERY_SECOND, latest, PUNCTUAL_MS, promisesHeld, ship } from './confirming.js'
import { createEffects, workerConfig } from './own-worker.js'

const HOUR_MS = 3_600_000

describe('With a wrong clock', () => {
  for (const [where, clockMs] of [
    ['an hour ahead', HOUR_MS],
    ['an hour behind', -HOUR_MS],
  ] as const) {
    it(`in the worker’s process, ${where}, orders are settled on time`, async () => {
      const shop = await openShop(confirming())
      await createEffects(shop)
      const worker = await startWorkerProcess({ ...workerConfig(shop, 'worker 1'), clockMs, fallback: false })
      const ids = await ship(shop, 50, 1000)
      await confirmed(shop, 50) // by the alarm: there is no sweep
      assert.ok((await latest(shop.database, ids)) < 2_000)
      assert.equal(await worker.stop(), 0)
      await shop.close()
    })
  }

  it('that jumps while the worker runs, by an hour to and fro, nothing is early and the sweep goes on', async () => {
    const shop = await openShop(confirming())
    await createEffects(shop)
    const worker = await startWorkerProcess(workerConfig(shop, 'worker 1'))
    const ids = await ship(shop, 100, 4000)
    for (const clock of [HOUR_MS, -HOUR_MS, 0]) {
      worker.send({ clock })
      await holdsFor(500, async () => (await countIn(shop.database, 5)) === 0, { every: 100 })
    }
    worker.send({ clock: -HOUR_MS })
    await confirmed(shop, 100)
    assert.ok((await latest(shop.database, ids)) < PUNCTUAL_MS)
    await shop.database.client.query(`UPDATE orders SET status = 4, "confirmDueAt" = now() WHERE id = $1`, [ids[0]])
    await waitUntil(async () => (await countIn(shop.database, 5)) === 100, { within: 30_000, what: 'a sweep' })
    assert.equal(await worker.stop(), 0)
    await shop.close()
  }).timeout(45_000)

  for (const [where, shiftMs] of [
    ['an hour ahead of Redis’s', HOUR_MS],
    ['an hour behind Redis’s', -HOUR_MS],
    ['five seconds ahead of Redis’s', 5000],
  ] as const) {
    it(`in Postgres, ${where}, orders are settled on time by Postgres’s clock`, async () => {
      const database = await openDatabase()
      await moveClock(database, shiftMs)
      const { Order } = database.connectSequelize({ dialectOptions: { options: `-c search_path=${database.schema},pg_catalog` } })
      const shop = await openShop(() => confirming()({ ...database, Order }))
      const worker = await shop.worker({ fallback: EVERY_SECOND })
      const orders = await Order.bulkCreate(Array.from({ length: 50 }, () => ({ status: 4 })))
      await Promise.all(orders.map((order) => shop.timers.schedule('order_confirm', order, { after: 4000 })))
      assert.ok(Math.abs((orders[0]?.confirmDueAt?.getTime() ?? 0) - Date.now() - shiftMs - 4000) < 2000)
      await holdsFor(1200, async () => (await countIn(database, 5)) === 0, { every: 50 })
      await waitUntil(async () => (await countIn(database, 5)) === 50, { within: 10_000 })
      assert.ok(Math.max(...worker.settled.map(({ latenessMs }) => latenessMs ?? 0)) < PUNCTUAL_MS)
      assert.ok(Math.min(...worker.settled.map(({ latenessMs }) => latenessMs ?? 0)) > -5)
      await shop.close()
      await database.close()
    })
  }

  it('by which keys come five seconds too early, orders are read and left until their time', async () => {
    const shop = await openShop(confirming())
    await shop.worker({ fallback: false })
    const ids = await ship(shop, 30, 8000)
    const { client } = shop.redis
    for (const id of ids) await client.set(shop.key(`order_confirm:${id}`), '1', 'PX', 50)
    const index = shop.key('order-timers:{order_confirm}:due')
    assert.equal(await client.zcard(index), 30)
    for (const id of ids) await client.zincrby(index, -5000, String(id))
    await holdsFor(5000, async () => (await countIn(shop.database, 5)) === 0, { every: 100 })
    await confirmed(shop, 30, 10_000)
    assert.ok((await latest(shop.database, ids)) < PUNCTUAL_MS)
    await promisesHeld(shop.database)
    await shop.close()
  })

  it('by which keys come five seconds too late, the sweep’s horizon puts them right', async () => {
    const shop = await openShop(confirming())
    await shop.worker({ fallback: EVERY_SECOND })
    const ids = await ship(shop, 30, 4000)
    const { client } = shop.redis
    const index = shop.key('order-timers:{order_confirm}:due')
    for (const id of ids) await client.zincrby(index, 5000, String(id))
    await confirmed(shop, 30)
    assert.ok((await latest(shop.database, ids)) < PUNCTUAL_MS)
    await shop.close()
  })
})

/** now() and clock_timestamp() of the test's schema, for statements whose search_path names the schema first and pg_catalog second. */
async function moveClock({ client, schema }: Database, byMs: number): Promise<void> {
  for (const name of ['now', 'clock_timestamp', 'statement_timestamp', 'transaction_timestamp']) {
    await client.query(
      `CREATE FUNCTION ${schema}.${name}() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.${name}() + interval '${byMs} ms' $$`,
    )
  }
}
