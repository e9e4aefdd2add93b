// Instants without a time zone: whatever the column's type is, and whichever path brings the order, nothing is settled too early.

import assert from 'node:assert/strict'
import type { Options, Transaction } from 'sequelize'
import { sweepOnce } from '../../lib/admin/sweep-once.js'
import { transition } from '../../lib/index.js'
import { expire } from '../../lib/testing.js'
import type { Database } from '../support/database.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type TestWorker } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const EVERY_SECOND = '* * * * * *'

/** Postgres in Taipei, and a Sequelize that leaves the zone of its connections as it is. */
const TAIPEI = { settings: { timezone: 'Asia/Taipei' }, sequelize: { keepDefaultTimezone: true } as Options }

const pay = ({ Order }: Pick<Database, 'Order'>) => ({
  order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
})

const faultOf = (worker: TestWorker, kind: string) => worker.health().faults.find((fault) => fault.kind === kind)

/** Every ALTER but the last lines of a message is a comment. */
const isCommented = (message: string) => message.split('\n').every((line) => !/ALTER TABLE/.test(line) || line.startsWith('-- '))

async function sweeps(worker: TestWorker, count: number): Promise<void> {
  let swept = 0
  const note = () => {
    swept += 1
  }
  worker.on('swept', note)
  await waitUntil(() => swept >= count)
  worker.off('swept', note)
}

describe('An instant without a time zone', () => {
  it('cancels no order early on a server in Taipei: the rule is refused until its column is corrected, by every path', async () => {
    const shop = await openShop(pay, { database: TAIPEI })
    const { client, Order } = shop.database
    await client.query(`ALTER TABLE orders ALTER COLUMN "createdAt" TYPE timestamp USING "createdAt" AT TIME ZONE 'UTC'`)
    const id = await shop.order()
    await client.query(`UPDATE orders SET "createdAt" = now() AT TIME ZONE 'UTC'`) // as a service in UTC writes it
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const fault = faultOf(worker, 'order_pay')
    assert.equal(fault?.code, 'INVALID_MODEL')
    assert.match(fault.message, /its newest value is \d{4}-.*; now it is .* in UTC and .* in Asia\/Taipei/)
    assert.match(
      fault.message,
      /^-- if they are in UTC: ALTER TABLE "orders" ALTER COLUMN "createdAt" TYPE timestamptz USING "createdAt" AT TIME ZONE 'UTC'$/m,
    )
    assert.match(fault.message, /^-- if they are in Asia\/Taipei: ALTER TABLE .* AT TIME ZONE 'Asia\/Taipei'$/m)
    assert.match(fault.message, /ACCESS EXCLUSIVE lock.* rewrites/)
    assert.ok(isCommented(fault.message))
    assert.equal(worker.health().status, 'degraded')

    await shop.redis.client.set(shop.key(`order_pay:${id}`), '1', 'PX', 20)
    const instance = await Order.findByPk(id, { rejectOnEmpty: true })
    assert.equal((await refused(() => shop.timers.schedule('order_pay', instance))).code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    assert.equal((await refused(() => shop.timers.schedule('order_pay', id))).code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    await assert.rejects(expire(worker, 'order_pay', id, { within: '2s' }))
    const { faults } = await sweepOnce(runtimeOf(shop.timers))
    assert.deepEqual(
      faults.map(({ code }) => code),
      ['INVALID_MODEL'],
    )
    await sweeps(worker, 2)
    assert.equal(await shop.statusOf(id), 1)
    assert.equal(worker.health().kinds.order_pay?.failed, 0)

    await client.query(`ALTER TABLE orders ALTER COLUMN "createdAt" TYPE timestamptz USING "createdAt" AT TIME ZONE 'UTC'`)
    await waitUntil(() => !faultOf(worker, 'order_pay'))
    await sweeps(worker, 1)
    assert.equal(await shop.statusOf(id), 1)
    await client.query(`UPDATE orders SET "createdAt" = now() - interval '16 minutes'`)
    await waitUntil(async () => (await shop.statusOf(id)) === 0)
    await shop.close()
  }).timeout(30_000)

  for (const [type, using] of [
    ['timestamp', `"createdAt" AT TIME ZONE 'UTC'`],
    ['timestamp(3)', `"createdAt" AT TIME ZONE 'UTC'`],
    ['local_time', `"createdAt" AT TIME ZONE 'UTC'`],
    ['date', '"createdAt"::date'],
    ['text', '"createdAt"::text'],
    ['bigint', 'extract(epoch from "createdAt")::bigint'],
  ] as const) {
    it(`is refused where the column is ${type}, in "deadline", "since" and "backfill.since"`, async () => {
      const rules = ({ Order }: Pick<Database, 'Order'>) => ({
        since: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
        filled: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '15m', backfill: { since: 'createdAt' } }),
      })
      const shop = await openShop(rules, { database: TAIPEI })
      await shop.database.client.query('CREATE DOMAIN local_time AS timestamp')
      await shop.database.client.query(`ALTER TABLE orders ALTER COLUMN "createdAt" TYPE ${type} USING ${using}`)
      await shop.database.client.query(
        `INSERT INTO orders (status, "createdAt", "updatedAt") VALUES (1, ${type === 'bigint' ? '0' : "'2020-01-01'"}, now()), (4, ${type === 'bigint' ? '0' : "'2020-01-01'"}, now())`,
      )
      const worker = await shop.worker({ fallback: EVERY_SECOND })
      await sweeps(worker, 1)
      for (const kind of ['since', 'filled']) {
        assert.equal(faultOf(worker, kind)?.code, 'INVALID_MODEL', kind)
        assert.ok(isCommented(faultOf(worker, kind)?.message ?? 'ALTER TABLE'))
      }
      const { rows } = await shop.database.client.query('SELECT status, "confirmDueAt" FROM orders ORDER BY status')
      assert.deepEqual(rows, [
        { status: 1, confirmDueAt: null },
        { status: 4, confirmDueAt: null },
      ])
      await shop.close()
    })
  }

  it('is seen where the column changes while the worker runs, before a statement reads it', async () => {
    const shop = await openShop(pay, { database: TAIPEI })
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order()
    await shop.database.client.query(`ALTER TABLE orders ALTER COLUMN "createdAt" TYPE timestamp USING "createdAt" AT TIME ZONE 'UTC'`)
    await shop.redis.client.set(shop.key(`order_pay:${id}`), '1', 'PX', 20)
    const fault = await waitUntil(() => faultOf(worker, 'order_pay'))
    assert.equal(fault.code, 'INVALID_MODEL')
    assert.match(fault.message, /must be timestamp with time zone/)
    assert.equal(await shop.statusOf(id), 1)
    assert.equal(worker.health().kinds.order_pay?.failed, 0)
    await shop.close()
  })

  it('is seen in a view, and a domain over timestamptz is an instant', async () => {
    const shop = await openShop(pay, { database: TAIPEI })
    const { client } = shop.database
    await client.query('CREATE DOMAIN instant AS timestamptz; ALTER TABLE orders ALTER COLUMN "createdAt" TYPE instant')
    await shop.timers.check()
    const id = await shop.order({ createdAt: new Date(Date.now() - 16 * 60_000) })
    await shop.worker()
    await waitUntil(async () => (await shop.statusOf(id)) === 0)
    await client.query('ALTER TABLE orders RENAME TO all_orders')
    await client.query(`CREATE VIEW orders AS SELECT id, status, "createdAt"::timestamp AS "createdAt" FROM all_orders`)
    const { message } = await refused(() => shop.timers.check())
    assert.match(message, /"orders" is a view: change the column of the table beneath it/)
    await shop.close()
  })

  const openWithOneConnection = async () => {
    const shop = await openShop(pay, { database: { ...TAIPEI, pool: { max: 1, acquire: 3_000 } } })
    const toTimestamp = `ALTER TABLE orders ALTER COLUMN "createdAt" TYPE timestamp USING "createdAt" AT TIME ZONE 'UTC'`
    return { ...shop, spoil: () => shop.database.client.query(toTimestamp) }
  }
  const BOTH_READINGS = /its newest value is \d{4}-.*; now it is .* in UTC and .* in Asia\/Taipei/

  it('is reported with both readings over a pool of one connection: by check(), and by a call within a transaction, which it leaves as it was', async () => {
    const shop = await openWithOneConnection()
    const { sequelize, Order } = shop.database
    await shop.spoil()
    const id = await shop.order()
    const told = await refused(() => shop.timers.check())
    assert.equal(told.code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    assert.match(told.message, BOTH_READINGS)

    const limits = async (transaction: Transaction) =>
      (
        await sequelize.query(`SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement`, {
          transaction,
        })
      )[0]
    await sequelize.transaction(async (transaction) => {
      const before = await limits(transaction)
      const order = await Order.findByPk(id, { transaction, rejectOnEmpty: true })
      await Order.update({ status: 10 }, { where: { id }, transaction })
      const error = await refused(() => shop.timers.schedule('order_pay', order, { transaction }))
      assert.equal(error.code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
      assert.match(error.message, BOTH_READINGS)
      assert.deepEqual(await limits(transaction), before)
    })
    assert.equal(await shop.statusOf(id), 10)
    await shop.close()
  })

  it('is reported without its newest value if that cannot be read in time, and the transaction continues', async () => {
    const shop = await openWithOneConnection()
    const { sequelize, Order, client } = shop.database
    await shop.spoil()
    const id = await shop.order()
    const order = await Order.findByPk(id, { rejectOnEmpty: true })
    const locked = await shop.database.connect()
    await locked.query('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE')
    await sequelize.transaction(async (transaction) => {
      const { message } = await refused(() => shop.timers.schedule('order_pay', order, { transaction }))
      assert.match(message, /its newest value is not found within a second; now it is .* in UTC and .* in Asia\/Taipei/)
      await locked.query('COMMIT')
      await Order.update({ status: 10 }, { where: { id }, transaction })
    })
    const { rows } = await client.query('SELECT status FROM orders')
    assert.deepEqual(rows, [{ status: 10 }])
    await shop.close()
  })

  it('is checked again if the check was not possible: an unknown type is not a right one', async () => {
    const shop = await openWithOneConnection()
    const { sequelize, Order } = shop.database
    await shop.spoil()
    const order = await Order.findByPk(await shop.order(), { rejectOnEmpty: true })
    await assert.rejects(
      sequelize.transaction(async (transaction) => {
        await sequelize.query('SELECT 1 / 0', { transaction }).catch(() => {})
        await shop.timers.schedule('order_pay', order, { transaction }) // Postgres answers nothing here any more
        throw new Error('rolled back')
      }),
      /rolled back/,
    )
    assert.equal((await refused(() => shop.timers.schedule('order_pay', order))).code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
    await shop.close()
  })
})

describe('An instant whose column rounds it', () => {
  for (const [type, most] of [
    ['timestamptz(0)', 500],
    ['timestamptz(2)', 5],
  ] as const)
    it(`is told by check() where it is ${type}, once for each column; the rule works all the same`, async () => {
      const shop = await openShop(({ Order }: Pick<Database, 'Order'>) => ({
        filled: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '15m', backfill: { since: 'createdAt' } }),
      }))
      const alter = ['confirmDueAt', 'createdAt'].map((column) => `ALTER COLUMN "${column}" TYPE ${type}`)
      await shop.database.client.query(`ALTER TABLE orders ${alter.join(', ')}`)
      const { code, message } = await refused(() => shop.timers.check())
      assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
      for (const [option, column] of [
        ['deadline', 'confirmDueAt'],
        ['backfill.since', 'createdAt'],
      ]) {
        const said = `"${option}": the column "${column}" of "orders" is ${type.replace('tz', '')} with time zone: Postgres rounds`
        assert.ok(message.includes(said), message)
      }
      assert.match(message, new RegExp(`up to ${most} ms early; ALTER TABLE "orders" ALTER COLUMN "confirmDueAt" TYPE timestamptz\\(3\\)`))
      const worker = await shop.worker({ fallback: EVERY_SECOND })
      const id = await shop.order({ status: 4, createdAt: new Date(Date.now() - 16 * 60_000) })
      await waitUntil(async () => (await shop.statusOf(id)) === 5)
      assert.deepEqual(worker.health().faults, [])
      await shop.database.client.query(
        'ALTER TABLE orders ALTER COLUMN "confirmDueAt" TYPE timestamptz(3), ALTER COLUMN "createdAt" TYPE timestamptz',
      )
      await shop.timers.check()
      await shop.close()
    })
})
