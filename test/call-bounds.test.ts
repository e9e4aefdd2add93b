import assert from 'node:assert/strict'
import type { Sequelize } from 'sequelize'
import type { OrderTimers } from '../lib/index.js'
import { armed } from './support/armed.js'
import { type Refusal, refused } from './support/refused.js'
import { openShop, type Shop } from './support/shop.js'
import { oneOfEach } from './support/shop-rules.js'
import { TcpProxy } from './support/tcp-proxy.js'
import { waitUntil } from './support/waiting.js'

/** How long a call of a request may take at most. */
const MOST_MS = 2_500

describe('A call outside of a transaction ends within 2.5 s', () => {
  let shop: Shop<ReturnType<typeof oneOfEach>>
  let timers: OrderTimers<ReturnType<typeof oneOfEach>>
  let proxy: TcpProxy
  let id: number
  let sequelize: Sequelize

  /** A shop whose own Sequelize, with a pool of two, stands behind a proxy; its looks by hand do not. */
  const open = async () => {
    proxy = await TcpProxy.start(Number(new URL(process.env.DATABASE_URL as string).port))
    shop = await openShop((database) => {
      const url = new URL(database.url)
      url.port = String(proxy.port)
      const connected = database.connectSequelize({ url: url.href, pool: { max: 2 } })
      sequelize = connected.sequelize
      return oneOfEach(connected)
    })
    timers = shop.timers
    id = await shop.order({ status: 4 })
    await timers.schedule('order_confirm', id)
    await timers.remaining('order_confirm', id)
  }

  afterEach(async () => {
    await shop.close()
    await proxy.stop()
  })

  const calls = (): Record<string, () => Promise<unknown>> => ({
    'schedule(order_confirm)': () => timers.schedule('order_confirm', id),
    'schedule(order_pay)': () => timers.schedule('order_pay', id),
    'schedule(order_ship)': () => timers.schedule('order_ship', id),
    extend: () => timers.extend('order_confirm', id, '1h'),
    cancel: () => timers.cancel('order_confirm', id),
    'remaining(order_confirm)': () => timers.remaining('order_confirm', id),
    'remaining(order_ship)': () => timers.remaining('order_ship', id),
    'remaining of many': () => timers.remaining('order_confirm', [id]),
    list: () => timers.list(id),
    'list of many': () => timers.list([id]),
  })
  const WRITES = ['schedule(order_confirm)', 'extend', 'cancel']

  /** Each call, one after the other: what it was refused with, and that it took no longer than it may. */
  const each = async (judge: (name: string, refusal: Refusal) => void, between: () => Promise<void> = async () => {}) => {
    for (const [name, call] of Object.entries(calls())) {
      const startedAt = performance.now()
      const refusal = await refused(call)
      assert.ok(performance.now() - startedAt < MOST_MS, `${name} took ${performance.now() - startedAt} ms`)
      judge(name, refusal)
      await between()
    }
  }

  it('where another session has locked the table: nothing is written, also not later', async () => {
    await open()
    const before = (await shop.database.client.query('SELECT * FROM orders')).rows
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE orders')
    await each((name, { code, status }) => {
      const expected = WRITES.includes(name) ? 'ROW_LOCKED' : 'POSTGRES_UNAVAILABLE'
      assert.deepEqual([name, code, status], [name, `ERR_ORDER_TIMERS_${expected}`, 503])
    })
    await holder.query('ROLLBACK')
    await waitUntil(async () => (await waiting()) === 0)
    assert.deepEqual((await shop.database.client.query('SELECT * FROM orders')).rows, before)
    assert.equal((await timers.schedule('order_confirm', id)).armed, true)
  }).timeout(60_000)

  it('where every connection of the pool is in use: nothing is sent', async () => {
    await open()
    const held = [await sequelize.transaction(), await sequelize.transaction()]
    await each((name, { code, message }) => {
      assert.deepEqual([name, code], [name, 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE'])
      assert.ok(message.includes('had no connection within 2000 ms') && message.includes('nothing was written'), message)
    })
    for (const transaction of held) await transaction.rollback()
    await Promise.all([1, 2, 3, 4].map(() => timers.remaining('order_confirm', id))) // the pool has all of its connections again
  }).timeout(60_000)

  it('where the connections are silent: of a write nobody knows what came of it, and a read is safe to try again', async () => {
    await open()
    for (const [name, call] of Object.entries(calls())) {
      proxy.silence()
      const startedAt = performance.now()
      const { code, message } = await refused(call).finally(() => proxy.pass())
      assert.ok(performance.now() - startedAt < MOST_MS, `${name} took ${performance.now() - startedAt} ms`)
      const expected = WRITES.includes(name) ? 'OUTCOME_UNKNOWN' : 'POSTGRES_UNAVAILABLE'
      assert.deepEqual([name, code], [name, `ERR_ORDER_TIMERS_${expected}`], message)
      await waitUntil(() => timers.schedule('order_confirm', id).catch(() => undefined))
    }
  }).timeout(60_000)

  it('where the reply to the write is lost: the outcome is unknown, and the row has it', async () => {
    await open()
    await timers.cancel('order_confirm', id)
    proxy.dropReply('UPDATE')
    const { code, status, expose } = await refused(() => timers.schedule('order_confirm', id))
    assert.deepEqual([code, status, expose], ['ERR_ORDER_TIMERS_OUTCOME_UNKNOWN', 503, false])
    assert.ok(((await timers.remaining('order_confirm', id)) as number) > 0)
    assert.equal((await timers.schedule('order_confirm', id)).armed, true) // repeated, as the error says
    assert.notEqual((await armed(shop.redis, 'order_confirm', id)).due, null)
  })

  it('and a write that nobody hinders is one statement', async () => {
    const statements: string[] = []
    shop = await openShop(oneOfEach, { database: { sequelize: { logging: (sql) => void statements.push(sql) } } })
    proxy = await TcpProxy.start(1)
    const order = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', order)
    for (const call of ['schedule', 'cancel', 'remaining'] as const) {
      statements.length = 0
      await shop.timers[call]('order_confirm', order)
      assert.equal(statements.length, 1, statements.join('\n'))
    }
  })

  /** How many statements of the shop's wait for a lock. */
  async function waiting(): Promise<number> {
    const sql = `SELECT count(*)::int AS count FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`
    return (await shop.database.client.query(sql)).rows[0].count
  }
})
