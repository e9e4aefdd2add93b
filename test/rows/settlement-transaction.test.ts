import assert from 'node:assert/strict'
import { DataTypes, Model, type Sequelize, type Transaction } from 'sequelize'
import { type Rule, type TransitionOptions, transition } from '../../lib/index.js'
import { postgresClock } from '../../lib/sequelize/postgres-clock.js'
import type { Database } from '../support/database.js'
import { Lines } from '../support/lines.js'
import type { OrderRow } from '../support/order.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, type Shop, type ShopOptions } from '../support/shop.js'
import { inTime, waitForEvent, waitUntil } from '../support/waiting.js'

const CONFIRM = { from: 4, to: 5, deadline: 'confirmDueAt', after: 1 } as const

describe('a settlement', () => {
  let shop: Shop<{ order_confirm: Rule<'deadline', OrderRow> }>

  afterEach(() => shop.close())

  async function open(options: Partial<TransitionOptions<OrderRow>>, more: ShopOptions = {}): Promise<void> {
    shop = await openShop(({ Order }) => ({ order_confirm: transition(Order, { ...CONFIRM, ...options } as typeof CONFIRM) }), more)
  }

  /** Orders that are overdue by so much, in status 4. */
  const overdue = async (count: number, byMs = 1000): Promise<number[]> => {
    const dueAt = new Date(Date.now() - byMs)
    const orders = await shop.database.Order.bulkCreate(Array.from({ length: count }, () => ({ status: 4, confirmDueAt: dueAt })))
    return orders.map(({ id }) => id)
  }
  const statuses = async (): Promise<number[]> => {
    const orders = await shop.database.Order.findAll({ order: ['id'] })
    return orders.map(({ status }) => status)
  }

  it('moves all of "from" to "to", and nothing else', async () => {
    await open({ from: [3, 4] })
    const dueAt = new Date(Date.now() - 1000)
    await shop.database.Order.bulkCreate([1, 2, 3, 4, 5, 0].map((status) => ({ status, confirmDueAt: dueAt })))
    await shop.order({ status: 4, confirmDueAt: new Date(Date.now() + 60_000) })
    await shop.order({ status: 4 })
    await shop.worker()
    assert.deepEqual(await statuses(), [1, 2, 5, 5, 5, 0, 4, 4])
  })

  it('reads the clock of Postgres with its BEGIN', async () => {
    await open({})
    const { client, Order } = shop.database
    const id = String((await overdue(1))[0])
    const clock = postgresClock(Order.sequelize as Sequelize)
    assert.equal(clock.now(), undefined)
    await runtimeOf(shop.timers)
      .rule('order_confirm')
      .settle([id], { deadlineOf: () => undefined, via: 'sweep', worker: 'test', inRule: false, signal: new AbortController().signal })
    assert.equal(await shop.statusOf(Number(id)), 5)
    const before = clock.now() as number
    const now = Number((await client.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms')).rows[0].ms)
    const after = clock.now() as number
    assert.ok(before - clock.error <= now && now <= after + clock.error, `${before} to ${after}, and it is ${now}`)
  })

  it("begins nothing of the shop's code once its time is over: a promise that never settles could not be left", async () => {
    let begun = 0
    const run = () => {
      begun += 1
      return new Promise(() => {})
    }
    await open({ run })
    const id = String((await overdue(1))[0])
    const signal = AbortSignal.abort(new Error('took too long'))
    const settled = runtimeOf(shop.timers)
      .rule('order_confirm')
      .settle([id], { deadlineOf: () => undefined, via: 'sweep', worker: 'test', inRule: false, signal })
    await assert.rejects(inTime(settled, 5_000, 'the settlement to end'), /^Error: took too long$/)
    assert.deepEqual([begun, await shop.statusOf(Number(id))], [0, 4])
  })

  it('passes "run" a large batch 100 orders at a time, all in one transaction', async () => {
    const portions: number[] = []
    const transactions = new Set<Transaction>()
    await open({
      run: (orders, { transaction }) => {
        portions.push(orders.length)
        transactions.add(transaction)
      },
    })
    const ids = (await overdue(250)).map(String)
    const work = { deadlineOf: () => undefined, via: 'sweep', worker: 'test', inRule: false, signal: new AbortController().signal }
    const { settled } = await runtimeOf(shop.timers).rule('order_confirm').settle(ids, work)
    assert.deepEqual([settled.length, portions, transactions.size], [250, [100, 100, 50], 1])
    assert.deepEqual(new Set(await statuses()), new Set([5]))
  })

  it('settles none of a large batch if a later portion of it fails', async () => {
    let portions = 0
    await open({
      run: () => {
        portions += 1
        if (portions === 3) throw new Error('the third portion fails')
      },
    })
    const ids = (await overdue(250)).map(String)
    const work = { deadlineOf: () => undefined, via: 'sweep', worker: 'test', inRule: false, signal: new AbortController().signal }
    await assert.rejects(runtimeOf(shop.timers).rule('order_confirm').settle(ids, work), /the third portion fails/)
    assert.deepEqual(new Set(await statuses()), new Set([4]))
  })

  it('may be large if the shop has a "run" alone, and no other code of its own', async () => {
    const largest = async (options: Partial<TransitionOptions<OrderRow>>): Promise<number | undefined> => {
      await open(options)
      const { batchSize, quickBatchSize = batchSize } = runtimeOf(shop.timers).rule('order_confirm')
      return quickBatchSize
    }
    const run = () => {}
    assert.equal(await largest({ run }), 1_000)
    await shop.close()
    assert.equal(await largest({ run, afterCommit: () => {} }), 100)
    await shop.close()
    assert.equal(await largest({ run, individualHooks: true }), 100)
  })

  it('is not told as settled if COMMIT rolled it back, since a statement that "run" did not await failed', async () => {
    const told: unknown[] = []
    const run = (_: OrderRow[], { transaction }: { transaction: Transaction }) => {
      const query = (sql: string) => shop.database.sequelize.query(sql, { transaction })
      void query('SELECT 1') // answered before the last statement of the settlement, the next one after it
        .then(() => query('SELECT 1 / 0'))
        .catch(() => {})
    }
    await open({ run, attempts: 1, afterCommit: (order) => void told.push(order) })
    const [id] = await overdue(1)
    const worker = await shop.worker()
    await waitUntil(() => worker.deadTold.length > 0)
    assert.equal((worker.deadTold[0]?.error as { code?: string } | undefined)?.code, 'ERR_ORDER_TIMERS_TRANSACTION_FINISHED')
    assert.deepEqual([worker.settled.length, told.length, await shop.statusOf(id as number)], [0, 0, 4])
  })

  it('runs no hooks and no validators of the model', async () => {
    await open({})
    const { Order } = shop.database
    for (const hook of ['beforeUpdate', 'beforeSave', 'beforeBulkUpdate', 'beforeValidate'] as const) {
      Order.addHook(hook, () => assert.fail(`${hook} was called`))
    }
    const [id] = await insertOverdue()
    await shop.timers.schedule('order_confirm', id as number)
    const worker = await shop.worker()
    await waitUntil(() => worker.settled.length)
    assert.deepEqual(await statuses(), [5])
  })

  const insertOverdue = async (): Promise<number[]> => {
    const { rows } = await shop.database.client.query(
      `INSERT INTO orders ("userId", total, status, "confirmDueAt", "createdAt", "updatedAt") VALUES (1, 1, 4, now() - interval '1 s', now(), now()) RETURNING id`,
    )
    return rows.map((row: { id: number }) => row.id)
  }

  it('holds back what "where" holds back, until it holds no longer', async () => {
    await open({ where: { note: 'checked' } })
    const [id] = (await overdue(1)) as [number]
    const worker = await shop.worker({ fallback: '* * * * * *' })
    assert.deepEqual(await statuses(), [4])
    await shop.database.Order.update({ note: 'checked' }, { where: { id } })
    await waitUntil(async () => (await shop.statusOf(id)) === 5)
    assert.equal(worker.settled[0]?.via, 'sweep')
  })

  it('lets go in the index of what "where" holds back, without looking at it again and again', async () => {
    await open({ where: { note: 'checked' } })
    const id = await shop.order({ status: 4, note: 'checked' })
    await shop.database.sequelize.transaction(async (transaction) => {
      await shop.timers.schedule('order_confirm', id, { after: 150, transaction })
      await shop.database.Order.update({ note: 'doubtful' }, { where: { id }, transaction })
    })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().kinds.order_confirm?.held)
    assert.equal(await shop.redis.client.zcard(shop.key('order-timers:{order_confirm}:due')), 0)
    assert.equal(worker.health().kinds.order_confirm?.held, 1)
  })

  it('leaves alone what is soft-deleted', async () => {
    class Parcel extends Model {}
    shop = await openShop(({ sequelize }) => {
      Parcel.init({ status: DataTypes.INTEGER, confirmDueAt: DataTypes.DATE }, { sequelize, paranoid: true, tableName: 'parcels' })
      return { order_confirm: transition(Parcel, CONFIRM as never) as unknown as Rule<'deadline', OrderRow> }
    })
    await Parcel.sync()
    const [deleted, kept] = await Parcel.bulkCreate([1, 2].map(() => ({ status: 4, confirmDueAt: new Date(Date.now() - 1000) })))
    await deleted?.destroy()
    await shop.worker()
    const found = await Parcel.findAll({ paranoid: false, order: ['id'] })
    assert.deepEqual(
      found.map((parcel) => parcel.get('status')),
      [4, 5],
    )
    assert.equal(kept?.get('id'), 2)
  })

  it('leaves alone what was soft-deleted while its timer was armed', async () => {
    class Parcel extends Model {}
    shop = await openShop(({ sequelize }) => {
      Parcel.init({ status: DataTypes.INTEGER, confirmDueAt: DataTypes.DATE }, { sequelize, paranoid: true, tableName: 'parcels' })
      return { order_confirm: transition(Parcel, CONFIRM as never) as unknown as Rule<'deadline', OrderRow> }
    })
    await Parcel.sync()
    await Parcel.bulkCreate([{ status: 4 }, { status: 4 }])
    for (const id of [1, 2]) await shop.timers.schedule('order_confirm', id, { after: 1 })
    await Parcel.destroy({ where: { id: 1 } })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.settled.length === 1 && worker.health().kinds.order_confirm?.gone === 1)
    const found = await Parcel.findAll({ paranoid: false, order: ['id'] })
    assert.deepEqual(
      found.map((parcel) => parcel.get('status')),
      [4, 5],
    )
  })

  it('reports what is overdue by more than "staleAfter", and leaves it to a person', async () => {
    const lines = new Lines()
    await open({ staleAfter: '1h' }, { logger: lines })
    await overdue(2, 2 * 3_600_000)
    const [fresh] = await overdue(1, 1800_000)
    const worker = await shop.worker({ fallback: '* * * * * *' })
    assert.deepEqual(await statuses(), [4, 4, 5])
    assert.equal(worker.settled[0]?.id, String(fresh))
    const oldest = (await shop.database.Order.findByPk(1))?.confirmDueAt as Date
    const first = { kind: 'order_confirm', count: 2, oldest }
    assert.deepEqual(worker.staleTold, [first])
    await waitForEvent(worker, 'swept')
    await waitForEvent(worker, 'swept')
    const [third] = await overdue(1, 3 * 3_600_000)
    await waitUntil(() => worker.staleTold.length > 1)
    const older = (await shop.database.Order.findByPk(third))?.confirmDueAt as Date
    assert.deepEqual(worker.staleTold, [first, { kind: 'order_confirm', count: 3, oldest: older }])
    const line = (count: number) => `order_confirm: ${count} orders are overdue by more than "staleAfter" and are not settled`
    assert.deepEqual(lines.of('warn'), [line(2), line(3)])
  })

  it('counts "staleAfter" from the deadline, and not from "since"', async () => {
    const options = { from: 4, to: 5, since: 'createdAt', after: '15m', staleAfter: '1h' } as const
    shop = await openShop(({ Order }) => ({ order_confirm: transition(Order, options) as unknown as Rule<'deadline', OrderRow> }))
    const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000)
    await shop.database.Order.bulkCreate([65, 80].map((minutes) => ({ status: 4, createdAt: ago(minutes) })))
    const worker = await shop.worker({ fallback: false })
    assert.deepEqual(await statuses(), [5, 4])
    assert.deepEqual(
      worker.staleTold.map(({ count }) => count),
      [1],
    )
  })

  it('does not settle either what is stale and was scheduled so', async () => {
    await open({ staleAfter: '1h' })
    const [stale, fresh] = [await shop.order({ status: 4 }), await shop.order({ status: 4 })]
    const worker = await shop.worker({ fallback: false })
    await shop.timers.schedule('order_confirm', stale, { at: Date.now() - 2 * 3_600_000 })
    await waitUntil(() => worker.health().kinds.order_confirm?.held)
    await shop.timers.schedule('order_confirm', fresh, { at: Date.now() - 1800_000 })
    await waitUntil(() => worker.settled.length)
    assert.deepEqual(await statuses(), [4, 5])
  })

  it('settles an order that the shop is inserting a child row of', async () => {
    await open({})
    const { client } = shop.database
    await client.query('CREATE TABLE items (order_id int REFERENCES orders (id))')
    const [id] = (await overdue(1)) as [number]
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('INSERT INTO items VALUES ($1)', [id])
    await shop.worker()
    assert.deepEqual(await statuses(), [5])
    await holder.query('ROLLBACK')
  })

  it('puts off an order whose row is locked, and settles it when it is free', async () => {
    await open({})
    const ids = (await overdue(3)) as [number, number, number]
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', [ids[1]])
    const worker = await shop.worker({ fallback: false })
    assert.deepEqual(await statuses(), [5, 4, 5])
    await waitUntil(() => (worker.health().kinds.order_confirm?.locked as number) >= 2)
    assert.equal(worker.health().kinds.order_confirm?.failed, 0)
    await holder.query('COMMIT')
    await waitUntil(async () => (await shop.statusOf(ids[1])) === 5)
  })

  it('puts off an order whose row is locked also if its deadline is only in Redis', async () => {
    const options = { from: 4, to: 5, deadline: false, after: 1 } as const
    shop = await openShop(({ Order }) => ({ order_confirm: transition(Order, options) as unknown as Rule<'deadline', OrderRow> }))
    const id = await shop.order({ status: 4 })
    const holder = await shop.database.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', [id])
    const worker = await shop.worker({ fallback: false })
    await shop.timers.schedule('order_confirm', id)
    await waitUntil(() => worker.health().kinds.order_confirm?.locked)
    await holder.query('COMMIT')
    await waitUntil(async () => (await shop.statusOf(id)) === 5)
  })

  describe('with "run"', () => {
    interface Call {
      orders: OrderRow[]
      transaction: Transaction
      signal: AbortSignal
    }
    let calls: Call[]

    /** A table of effects beside the orders, with a row for each time that an order was worked on. */
    const openWithRun = async (work: (call: Call, database: Database) => unknown, options: object = {}) => {
      calls = []
      let database: Database | undefined
      await open({
        run: async (orders, context) => {
          calls.push({ orders, ...context })
          await work({ orders, ...context }, database as Database)
        },
        ...options,
      })
      database = shop.database
      await database.client.query('CREATE TABLE effects (order_id int NOT NULL)')
    }
    const effects = async (): Promise<number[]> =>
      (await shop.database.client.query('SELECT order_id FROM effects ORDER BY 1')).rows.map((row: { order_id: number }) => row.order_id)
    const noteEach = ({ orders, transaction }: Call, { sequelize }: Database) =>
      sequelize.query(`INSERT INTO effects SELECT unnest(array[${orders.map(({ id }) => id).join(', ')}])`, { transaction })

    it('calls it once for each order, with instances of the model that have the new status', async () => {
      await openWithRun(noteEach)
      const ids = await overdue(250)
      await shop.worker()
      assert.deepEqual(await effects(), ids)
      const orders = calls.flatMap((call) => call.orders)
      assert.deepEqual(
        orders.map(({ id }) => id).sort((a, b) => a - b),
        ids,
      )
      assert.ok(calls.length >= 3 && calls.every((call) => call.orders.length <= 100), 'in batches of a hundred')
      const [order] = orders as [OrderRow]
      assert.ok(order instanceof shop.database.Order)
      assert.deepEqual([order.status, order.confirmDueAt, order.total, order.isNewRecord, order.changed()], [5, null, 100, false, false])
      assert.ok(order.createdAt instanceof Date && order.updatedAt instanceof Date)
      assert.ok(order.updatedAt.getTime() > order.createdAt.getTime())
    })

    it('gives it instances that can be changed and saved in the transaction', async () => {
      await openWithRun(async ({ orders, transaction }) => {
        for (const order of orders) await order.update({ note: `confirmed ${order.id}` }, { transaction })
      })
      const [id] = (await overdue(1)) as [number]
      await shop.worker()
      const order = await shop.database.Order.findByPk(id)
      assert.deepEqual([order?.status, order?.note], [5, `confirmed ${id}`])
    })

    it('runs it before the commit: nobody else sees the new status yet', async () => {
      let seen: number | undefined
      await openWithRun(async ({ orders }) => {
        seen = await shop.statusOf((orders[0] as OrderRow).id)
      })
      await overdue(1)
      await shop.worker()
      assert.equal(seen, 4)
      assert.deepEqual(await statuses(), [5])
    })

    it('undoes all of it when it throws, and tries the order again by itself', async () => {
      let failures = 0
      await openWithRun(async (call, database) => {
        await noteEach(call, database)
        if (call.orders.some(({ id }) => id === 2) && failures++ < 3) throw new Error('no stock for 2')
      })
      const ids = await overdue(4)
      const worker = await shop.worker({ fallback: false })
      await waitUntil(() => worker.settled.length === 4)
      assert.deepEqual(await effects(), ids)
      assert.deepEqual(await statuses(), [5, 5, 5, 5])
      assert.equal(worker.settled.at(-1)?.id, '2')
      assert.equal(worker.health().kinds.order_confirm?.failed, 1)
    })

    it('does not call it for what was not due, was settled already, or has no row', async () => {
      await openWithRun(noteEach)
      const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() + 60_000) })
      const confirmed = await shop.order({ status: 5 })
      const worker = await shop.worker({ fallback: false })
      for (const name of [id, confirmed, 999]) await shop.redis.client.set(shop.key(`order_confirm:${name}`), '1', 'PX', 20)
      await waitUntil(() => {
        const { early = 0, gone = 0 } = worker.health().kinds.order_confirm ?? {}
        return early + gone >= 2
      })
      assert.deepEqual([calls, await effects()], [[], []])
    })

    it('gives it a signal that says when its time is over', async () => {
      await openWithRun(({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))), {
        timeout: 100,
        attempts: 1,
      })
      await overdue(1)
      const worker = await shop.worker({ fallback: false })
      await waitUntil(() => worker.deadTold.length)
      const [letter] = worker.deadTold
      assert.deepEqual([letter?.attempts, String(letter?.error)], [1, 'Error: "order_confirm" took longer than its timeout of 100 ms'])
      assert.deepEqual(await statuses(), [4])
    })
  })

  describe('is logged', () => {
    it('as one line for each batch, and one for each order at debug level, by the description of its rule', async () => {
      const lines = new Lines()
      await open({ description: (id: string) => `訂單 ${id} 自動確認收貨` }, { logger: lines })
      const [first, second] = await overdue(2)
      await shop.worker()
      const [summary, ...more] = lines.all.filter(({ level, fields }) => level === 'info' && fields.code === undefined)
      assert.match(summary?.message as string, /^order_confirm: 2 settled, late by \d+\.\d ms \(median\), \d+\.\d ms \(most\)$/)
      assert.deepEqual(summary?.fields, { kind: 'order_confirm', via: 'sweep', count: 2 })
      assert.deepEqual(more, [])
      const orders = lines.all.filter(({ fields }) => fields.id !== undefined)
      assert.deepEqual(
        orders.map(({ level, message }) => [level, message]),
        [first, second].map((id) => ['debug', `訂單 ${id} 自動確認收貨`]),
      )
    })

    it('with a description that is a text behind kind and id, and without one by these alone', async () => {
      for (const [description, each, batch] of [
        ['24小時自動確認收貨', 'order_confirm 1: 24小時自動確認收貨', /^order_confirm \(24小時自動確認收貨\): 1 settled, late/],
        [undefined, 'order_confirm 1: settled', /^order_confirm: 1 settled, late/],
      ] as const) {
        const lines = new Lines()
        await shop?.close()
        await open(description === undefined ? {} : { description }, { logger: lines })
        await overdue(1)
        await shop.worker()
        assert.match(lines.all.find(({ level, fields }) => level === 'info' && fields.code === undefined)?.message as string, batch)
        assert.deepEqual(
          lines.all.filter(({ fields }) => fields.id !== undefined).map(({ message }) => message),
          [each],
        )
      }
    })

    it('although the description throws', async () => {
      const description = () => {
        throw new Error('no such language')
      }
      await open({ description }, { logger: new Lines() })
      await overdue(1)
      const worker = await shop.worker()
      assert.deepEqual(await statuses(), [5])
      assert.equal(worker.settled.length, 1)
    })
  })
})
