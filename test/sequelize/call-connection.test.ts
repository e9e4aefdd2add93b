import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { QueryTypes, type Sequelize } from 'sequelize'
import { transition } from '../../lib/index.js'
import { BRAKE_TABLE, Brake } from '../../lib/rows/brake.js'
import { connectionManagerOf, type PoolConnection } from '../../lib/sequelize/internals.js'
import { defineParcel } from '../life/parcels.js'
import { armed } from '../support/armed.js'
import type { Database } from '../support/database.js'
import { type Refusal, refused } from '../support/refused.js'
import { openShop, type Shop } from '../support/shop.js'
import { oneOfEach } from '../support/shop-rules.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { waitUntil } from '../support/waiting.js'

/** How long a call of a request may take at most. */
const MOST_MS = 2_500

const TABLES = ['orders', 'parcels', BRAKE_TABLE]

/** A rule of each form, one that can be paused and released, and several that Redis alone has. */
function rulesOf({ Order, sequelize }: Pick<Database, 'Order' | 'sequelize'>) {
  const parcel = { from: 4, to: 5, deadline: 'dueAt', after: '24h', pause: { keep: 'leftMs' }, brake: { max: 5, per: '1h' } } as const
  const inRedis = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`other_${i}`, async () => {}]))
  return { ...oneOfEach({ Order }), ...inRedis, parcel_confirm: transition(defineParcel(sequelize), parcel) }
}

describe('A call outside of a transaction ends within 2.5 s', () => {
  let shop: Shop<ReturnType<typeof rulesOf>>
  let timers: Shop<ReturnType<typeof rulesOf>>['timers']
  let proxy: TcpProxy
  let redis: TcpProxy
  let id: number
  let sequelize: Sequelize

  const port = (url: string | undefined) => Number(new URL(url as string).port)
  const through = (url: string | undefined, { port }: TcpProxy) => Object.assign(new URL(url as string), { port }).href

  /** A shop whose own Sequelize and Redis stand behind proxies; its looks by hand into Postgres do not. */
  const open = async (max = 30) => {
    proxy = await TcpProxy.start(port(process.env.DATABASE_URL))
    redis = await TcpProxy.start(port(process.env.REDIS_URL))
    const makeRules = (database: Database) => {
      const connected = database.connectSequelize({ url: through(database.url, proxy), pool: { max } })
      sequelize = connected.sequelize
      return rulesOf(connected)
    }
    shop = await openShop(makeRules, { redisUrl: through(process.env.REDIS_URL, redis) })
    timers = shop.timers
    await defineParcel(shop.database.sequelize).sync()
    for (const sql of Brake.createSql(BRAKE_TABLE)) await shop.database.client.query(sql)
    await shop.database.client.query(`INSERT INTO ${BRAKE_TABLE} (kind, braked_at) VALUES ('parcel_confirm', now())`)
    await shop.database.client.query('INSERT INTO parcels (id) VALUES (1), (2)')
    await shop.database.client.query('UPDATE parcels SET left_ms = 5 WHERE id = 2')
    id = await shop.order({ status: 4 })
    await shop.order({ id: id + 1, status: 2 })
    await timers.schedule('order_confirm', id)
    await timers.schedule('parcel_confirm', 1)
    await timers.schedule('order_ship', id + 1)
    await timers.check()
    // The pool has the connections that it may need, as that of a shop in use.
    const held = await Promise.all(Array.from({ length: max }, () => sequelize.transaction()))
    await Promise.all(held.map((transaction) => transaction.rollback()))
  }

  afterEach(async () => {
    for (const one of [proxy, redis]) one.pass()
    await shop.close()
    await Promise.all([proxy.stop(), redis.stop()])
  })

  /** Each that a request may make, with what it does first: write a row, read one, or ask Redis alone. */
  const calls = (): Record<string, ['writes' | 'reads' | 'asks Redis', () => Promise<unknown>]> => ({
    'schedule(order_confirm)': ['writes', () => timers.schedule('order_confirm', id)],
    'schedule(order_pay)': ['reads', () => timers.schedule('order_pay', id)],
    'schedule(order_ship)': ['reads', () => timers.schedule('order_ship', id + 1)],
    'schedule(order_other)': ['asks Redis', () => timers.schedule('order_other', id, { after: '1h' })],
    'extend(order_confirm)': ['writes', () => timers.extend('order_confirm', id, '1h')],
    'extend(order_ship)': ['asks Redis', () => timers.extend('order_ship', id + 1, '1h')],
    'cancel(order_confirm)': ['writes', () => timers.cancel('order_confirm', id)],
    'cancel(order_ship)': ['asks Redis', () => timers.cancel('order_ship', id + 1)],
    pause: ['writes', () => timers.pause('parcel_confirm', 1)],
    resume: ['writes', () => timers.resume('parcel_confirm', 2)],
    release: ['reads', () => timers.release('parcel_confirm')],
    'remaining(order_confirm)': ['reads', () => timers.remaining('order_confirm', id)],
    'remaining(order_pay)': ['reads', () => timers.remaining('order_pay', id)],
    'remaining(order_ship)': ['reads', () => timers.remaining('order_ship', id + 1)],
    'remaining of many': ['reads', () => timers.remaining('order_ship', [id + 1])],
    list: ['reads', () => timers.list(id)],
    'list of many': ['reads', () => timers.list([id])],
    retry: ['asks Redis', () => timers.retry('order_confirm', id)],
    dead: ['asks Redis', () => timers.dead()],
  })

  /** All calls at the same time: what each was refused with, and that none took longer than it may. Those to Redis alone may succeed. */
  const each = async (judge: (name: string, does: string, refusal: Refusal) => void) => {
    const judged = Object.entries(calls()).map(async ([name, [does, call]]) => {
      const startedAt = performance.now()
      if (does === 'asks Redis') await call().catch(() => {})
      const refusal = does === 'asks Redis' ? undefined : await refused(call)
      const tookMs = performance.now() - startedAt
      assert.ok(tookMs < MOST_MS, `${name} took ${tookMs} ms`)
      if (refusal) judge(name, does, refusal)
    })
    for (const result of await Promise.allSettled(judged)) if (result.status === 'rejected') throw result.reason
  }

  it('where another session has locked the tables: nothing is written, also not later', async () => {
    await open()
    const state = async () => Promise.all(TABLES.map(async (table) => (await shop.database.client.query(`SELECT * FROM ${table}`)).rows))
    const before = await state()
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query(`LOCK TABLE ${TABLES.join(', ')}`)
    await each((name, does, { code, status }) => {
      const expected = does === 'writes' ? 'ROW_LOCKED' : 'POSTGRES_UNAVAILABLE'
      assert.deepEqual([name, code, status], [name, `ERR_ORDER_TIMERS_${expected}`, 503])
    })
    await holder.query('ROLLBACK')
    await waitUntil(async () => (await waiting()) === 0)
    assert.deepEqual(await state(), before)
    assert.equal((await timers.schedule('order_confirm', id)).armed, true)
  }).timeout(60_000)

  it('where every connection of the pool is in use: nothing is sent', async () => {
    await open(2)
    const held = [await sequelize.transaction(), await sequelize.transaction()]
    await each((name, _, { code, message }) => {
      assert.deepEqual([name, code], [name, 'ERR_ORDER_TIMERS_POSTGRES_UNAVAILABLE'])
      assert.ok(message.includes('had no connection in time') && message.includes('nothing was written'), message)
    })
    for (const transaction of held) await transaction.rollback()
    await Promise.all([1, 2, 3, 4].map(() => timers.remaining('order_confirm', id))) // the pool has all of its connections again
  }).timeout(60_000)

  it('where the transaction that waits for a lock cannot set its limits: the connection goes back to the pool without it', async () => {
    await open(1)
    const holder = await shop.database.connect()
    await holder.query('BEGIN; SELECT FROM orders FOR UPDATE')
    // Somebody cancels what runs, in the midst of one request: a server cannot be made to do that by its clients.
    const manager = connectionManagerOf(sequelize)
    type Connection = PoolConnection & { query(sql: string, ...more: unknown[]): unknown }
    const connection = (await manager.getConnection({ type: 'RAW', useMaster: true })) as Connection
    const { query } = connection
    const cancelled = 'SELECT pg_cancel_backend(pg_backend_pid()); SELECT pg_sleep(1)'
    connection.query = (sql, ...more) => query.call(connection, sql.replace('SET LOCAL lock_timeout', `${cancelled}; $&`), ...more)
    manager.releaseConnection(connection)
    assert.equal((await refused(() => timers.schedule('order_confirm', id))).code, 'ERR_ORDER_TIMERS_ROW_LOCKED')
    connection.query = query
    await holder.query('ROLLBACK')
    assert.equal((await timers.schedule('order_confirm', id)).armed, true)
  }).timeout(60_000)

  it('where the connections are silent: of a write nobody knows what came of it, and a read is safe to try again', async () => {
    await open()
    proxy.silence()
    await each((name, does, { code, message }) => {
      const expected = does === 'writes' ? 'OUTCOME_UNKNOWN' : 'POSTGRES_UNAVAILABLE'
      assert.deepEqual([name, code], [name, `ERR_ORDER_TIMERS_${expected}`], message)
    })
    proxy.pass()
    await waitUntil(() => timers.schedule('order_confirm', id).catch(() => undefined))
  }).timeout(60_000)

  for (const [what, hinder] of [
    ['silent', () => redis.silence()],
    ['slow', () => redis.delay(40)],
  ] as const) {
    it(`where the tables are locked for most of that time, and Redis is ${what} as well`, async () => {
      await open()
      const holder = await shop.database.connect()
      await holder.query('BEGIN')
      await holder.query(`LOCK TABLE ${TABLES.join(', ')}`)
      hinder()
      const free = delay(1_400).then(() => holder.query('ROLLBACK'))
      const took = Object.entries(calls()).map(async ([name, [, call]]) => {
        const startedAt = performance.now()
        await call().catch(() => {})
        return { name, tookMs: performance.now() - startedAt }
      })
      await free
      const tooLong = (await Promise.all(took)).filter(({ tookMs }) => tookMs >= MOST_MS)
      assert.deepEqual(tooLong, [])
    }).timeout(60_000)
  }

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
    shop = await openShop(rulesOf, { database: { sequelize: { logging: (sql) => void statements.push(sql) } } })
    ;[proxy, redis] = await Promise.all([TcpProxy.start(1), TcpProxy.start(1)])
    const order = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', order)
    for (const call of ['schedule', 'cancel', 'remaining'] as const) {
      statements.length = 0
      await shop.timers[call]('order_confirm', order)
      assert.equal(statements.length, 1, statements.join('\n'))
    }
  })

  it('and a write to a row that another transaction soon gives free waits for it, and leaves no limit on the connection', async () => {
    const statements: string[] = []
    shop = await openShop(rulesOf, { database: { sequelize: { pool: { max: 1 }, logging: (sql) => void statements.push(sql) } } })
    ;[proxy, redis] = await Promise.all([TcpProxy.start(1), TcpProxy.start(1)])
    const order = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', order)
    const holder = await shop.database.connect()
    const isInTransaction = () => statements.some((sql) => sql.includes('FOR NO KEY UPDATE'))
    // The first statement waits hardly; the transaction after it waits longer.
    for (const isHeld of [waiting, isInTransaction]) {
      statements.length = 0
      await holder.query('BEGIN; SELECT FROM orders FOR UPDATE')
      const scheduled = shop.timers.schedule('order_confirm', order, { after: '2h' })
      await waitUntil(async () => Boolean(await isHeld()))
      await holder.query('ROLLBACK')
      assert.equal((await scheduled).armed, true)
      assert.ok(((await shop.timers.remaining('order_confirm', order)) as number) > 3_600_000)
      const [limit] = await shop.database.sequelize.query('SHOW lock_timeout', { plain: false, type: QueryTypes.SELECT })
      assert.deepEqual(limit, { lock_timeout: '0' })
    }
  })

  /** How many statements of the shop's wait for a lock. */
  async function waiting(): Promise<number> {
    const sql = `SELECT count(*)::int AS count FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`
    return (await shop.database.client.query(sql)).rows[0].count
  }
})
