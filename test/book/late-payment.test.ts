// docs/late-payment.md, run: its files are the modules of a shop.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Express } from 'express'
import { Pool } from 'pg'
import type { Sequelize } from 'sequelize'
import request from 'supertest'
import { type ExpiryWorker, type OrderTimers, startExpiryWorker } from '../../lib/index.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { filesOf, openProjectOf } from '../support/book-project.js'
import { enter } from '../support/opened.js'
import { RedisServer } from '../support/redis-server.js'
import { type TestWorker, watched } from '../support/shop.js'
import { inTurns } from '../support/turns.js'
import { waitUntil } from '../support/waiting.js'

const PAGE = 'docs/late-payment.md'

interface Shop {
  app: Express
  timers: OrderTimers
  sequelize: Sequelize
  takePayment(id: string, orderId: number): Promise<boolean>
  refunds: { id: string; key: string }[]
}

describe(PAGE, () => {
  const PAY_MS = 900_000
  let project: Awaited<ReturnType<typeof openProjectOf>>
  let redis: RedisServer
  let client: Pool
  let shop: Shop
  let worker: TestWorker
  let strikeOut: () => void

  before(async () => {
    redis = await RedisServer.start()
    const schema = `t_${randomBytes(6).toString('hex')}`
    process.env.SCHEMA = schema
    client = new Pool({ connectionString: process.env.DATABASE_URL as string, options: `-c search_path=${schema}`, max: 4 })
    strikeOut = enter('a schema for late payments', () => client.end())
    await client.query(`CREATE SCHEMA ${schema}`)
    project = await openProjectOf(filesOf(PAGE))
    shop = await loadShop(project.directory, redis.url)
    await shop.sequelize.sync()
    for (const sql of History.createSql(HISTORY_TABLE)) await client.query(sql)
    await client.query(SLOW_CANCEL)
    worker = watched(startExpiryWorker(shop.app) as ExpiryWorker)
    await worker.ready
  })

  after(async () => {
    await worker.stop()
    await shop.timers.close()
    await shop.sequelize.close()
    await client.query(`DROP SCHEMA ${process.env.SCHEMA} CASCADE`)
    await client.end()
    strikeOut()
    delete process.env.SCHEMA
    await redis.stop()
    await project.close()
  })

  /** An order whose time to pay ends in so many milliseconds. */
  async function placed(dueInMs: number): Promise<number> {
    const sql = `INSERT INTO orders ("createdAt", "updatedAt") VALUES (clock_timestamp() + $1 * interval '1 ms', now()) RETURNING id`
    const id = (await client.query<{ id: number }>(sql, [dueInMs - PAY_MS])).rows[0]?.id as number
    await shop.timers.schedule('order_pay', id)
    return id
  }

  const statusOf = async (id: number) => (await client.query('SELECT status FROM orders WHERE id = $1', [id])).rows[0]?.status
  const cancelled = (id: number) => waitUntil(async () => (await statusOf(id)) === 'cancelled')
  const pay = (id: string, orderId: number) => request(shop.app).post('/payments').send({ id, orderId })
  const refunded = (id: string) => waitUntil(() => shop.refunds.some((refund) => refund.id === id), { within: 8000 })

  /** How many backends wait for a lock with a statement like this. */
  async function waiting(statement: string): Promise<number> {
    const sql = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1 AND query NOT LIKE '%pg_stat_activity%'`
    return (await client.query(sql, [`%${statement}%`])).rows.length
  }

  /** Lets each cancelling stop between its UPDATE and its commit. */
  async function stopCancelling() {
    const holder = await client.connect()
    await holder.query('SELECT pg_advisory_lock(5034)')
    return {
      reached: () => waitUntil(async () => (await waiting('cancelled')) > 0),
      async goOn() {
        await holder.query('SELECT pg_advisory_unlock(5034)')
        holder.release()
      },
    }
  }

  it('takes an order in time, and the timer leaves it alone', async () => {
    const id = await placed(2_500)
    await pay('in-time', id).expect(200, { orderId: id, status: 'paid' })
    await waitUntil(() => (worker.health().kinds.order_pay?.gone as number) > 0)
    assert.equal(await statusOf(id), 'paid')
  })

  it('loses after the order was cancelled, and is refunded once', async () => {
    const id = await placed(50)
    await cancelled(id)
    const error = 'the order was cancelled before it was paid, and the payment will be refunded'
    await pay('too-late', id).expect(409, { orderId: id, error })
    await refunded('too-late')
    await pay('too-late', id).expect(409)
    await worker.sweepNow()
    assert.equal(shop.refunds.filter((refund) => refund.id === 'too-late').length, 1)
    assert.equal(await statusOf(id), 'cancelled')
  })

  it('waits for a cancellation in progress, and loses', async () => {
    const gate = await stopCancelling()
    const id = await placed(50)
    await gate.reached()
    const answer = shop.takePayment('meanwhile', id)
    await waitUntil(async () => (await waiting('UPDATE "orders"')) > 0)
    await gate.goOn()
    assert.equal(await answer, false)
    assert.equal(await statusOf(id), 'cancelled')
    await refunded('meanwhile')
  })

  it('wins if the cancellation that it waits for fails', async () => {
    const gate = await stopCancelling()
    const id = await placed(50)
    await gate.reached()
    const answer = shop.takePayment('after-all', id)
    await waitUntil(async () => (await waiting('UPDATE "orders"')) > 0)
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE '%cancelled%' AND pid <> pg_backend_pid()`,
    )
    assert.equal(await answer, true)
    await gate.goOn()
    await waitUntil(async () => worker.health().busy === 0)
    assert.equal(await statusOf(id), 'paid')
    assert.ok(!shop.refunds.some((refund) => refund.id === 'after-all'))
  })

  it('in progress at the deadline delays nobody, and keeps its order', async () => {
    const [id, other] = [await placed(2_500), await placed(2_500)]
    const payment = await client.connect()
    await payment.query('BEGIN')
    await payment.query(`UPDATE orders SET status = 'paid' WHERE id = $1 AND status = 'placed'`, [id])
    await cancelled(other)
    await payment.query('COMMIT')
    payment.release()
    const gone = worker.health().kinds.order_pay?.gone as number
    await waitUntil(() => (worker.health().kinds.order_pay?.gone as number) > gone)
    assert.equal(await statusOf(id), 'paid')
  })

  it('reported many times at once is one payment with one answer', async () => {
    const [id, late] = [await placed(60_000), await placed(50)]
    await cancelled(late)
    const ten = Array.from({ length: 10 })
    assert.deepEqual(new Set(await Promise.all(ten.map(() => shop.takePayment('often', id)))), new Set([true]))
    assert.deepEqual(new Set(await Promise.all(ten.map(() => shop.takePayment('often-late', late)))), new Set([false]))
    assert.equal(await shop.takePayment('another', id), false)
    await Promise.all(['often-late', 'another'].map(refunded))
    assert.deepEqual(
      shop.refunds.map((refund) => refund.id).filter((paid) => paid.startsWith('often')),
      ['often-late'],
    )
  })

  it('races with the timer three hundred times, and each time one of them has the order whole', async () => {
    const orders = await inTurns(Array.from({ length: 300 }), () => placed(60_000))
    const pays = async (id: number) => ({ id, won: await shop.takePayment(`race-${id}`, id) })
    const early = await inTurns(orders.slice(0, 20), pays)
    // However long it took to place them, all are due at one instant, and the payments begin a little before it, but for the last.
    const due = `UPDATE orders SET "createdAt" = clock_timestamp() + $1 * interval '1 ms' WHERE id = ANY($2)`
    await client.query(due, [5000 - PAY_MS, orders])
    const dueAt = performance.now() + 5000
    await inTurns(orders.slice(20), (id) => shop.timers.schedule('order_pay', id))
    await waitUntil(() => performance.now() > dueAt - 300, { within: 6000, every: 1 })
    const racing = orders.slice(20, 280).map(async (id, i) => {
      await delay(2 * i)
      return pays(id)
    })
    const late = orders.slice(280).map(async (id) => {
      await cancelled(id)
      return pays(id)
    })
    const won = [...early, ...(await Promise.all([...racing, ...late]))]
    await waitUntil(async () => (await Promise.all(orders.map(statusOf))).every((status) => status !== 'placed'))
    for (const order of won) assert.equal(await statusOf(order.id), order.won ? 'paid' : 'cancelled', `order ${order.id}`)
    const losers = won.filter((order) => !order.won).map(({ id }) => `race-${id}`)
    assert.ok(losers.length >= 20 && losers.length <= 280, `${losers.length} payments lost`)
    await waitUntil(() => losers.every((id) => shop.refunds.some((refund) => refund.id === id)), { within: 10_000 })
    const given = shop.refunds.filter(({ id }) => id.startsWith('race-'))
    assert.deepEqual(given.map(({ id }) => id).sort(), losers.sort())
    assert.equal(new Set(given.map(({ key }) => key)).size, losers.length)
  })
})

/** What is cancelled waits for whoever holds the advisory lock. */
const SLOW_CANCEL = `
CREATE FUNCTION wait_for_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(5034); RETURN NEW; END $$;
CREATE TRIGGER wait_for_gate AFTER UPDATE ON orders FOR EACH ROW WHEN (NEW.status = 'cancelled') EXECUTE FUNCTION wait_for_gate()`

/** The page's files as modules. */
async function loadShop(directory: string, redisUrl: string): Promise<Shop> {
  const load = (name: string) => import(join(directory, name))
  const { REDIS_URL } = process.env
  process.env.REDIS_URL = redisUrl
  const { app } = await load('app.ts')
  const { takePayment } = await load('payments.ts')
  const { timers } = await load('timers.ts')
  process.env.REDIS_URL = REDIS_URL
  const { sequelize } = await load('models.ts')
  const { refunds } = await load('payment-service.ts')
  return { app, takePayment, timers, sequelize, refunds }
}
