// A shop whose reads go to a replica that is late: another database with older rows, so that whatever is read there is wrong for good.

import assert from 'node:assert/strict'
import { effect, transition } from '../../lib/index.js'
import { HISTORY_TABLE, History } from '../../lib/rows/history.js'
import { type Database, openDatabase } from '../support/database.js'
import type { OrderRow } from '../support/order.js'
import { refused } from '../support/refused.js'
import { openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const CONFIRM = { from: 4, to: 5, deadline: 'confirmDueAt' } as const
const EVERY_SECOND = { fallback: '* * * * * *' }

describe('a shop with a replica', () => {
  let replica: Database
  let shop: Shop<ReturnType<typeof rules>>
  let connected: ReturnType<typeof replicated>
  let told: string[]
  let fails: boolean

  const rules = ({ Order }: Pick<Database, 'Order'>) => ({
    order_confirm: transition(Order, {
      ...CONFIRM,
      after: (order: OrderRow) => (order.note === 'TW' ? '90s' : '5s'),
      history: true,
      afterCommit: (_orders: OrderRow[], { idempotencyKeys }: { idempotencyKeys: string[] }) => {
        if (fails) throw new Error('no mail')
        told.push(...idempotencyKeys)
      },
    }),
    order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }),
    order_redis: transition(Order, { from: 2, to: 3, deadline: false, after: '1h' }),
    order_effect: effect(Order, { where: { note: 'never' }, since: 'updatedAt', after: '1h', run: () => {} }),
  })

  beforeEach(async () => {
    told = []
    fails = true
    replica = await openDatabase()
    shop = await openShop((database) => {
      connected = replicated(database, replica)
      return rules(connected)
    })
    for (const sql of History.createSql(HISTORY_TABLE)) await shop.database.client.query(sql)
  })

  afterEach(async () => {
    await shop.close()
    await replica.close()
  })

  it('reads the orders of a replica where it asks for itself', async () => {
    const id = await shop.order({ status: 4 })
    const { Order } = replicated(shop.database, replica)
    assert.equal(await Order.findByPk(id), null)
  })

  it('has a transaction on the replica refused, which may write nothing and reads what is late', async () => {
    const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() + 60_000) })
    await connected.sequelize.transaction({ readOnly: true }, async (transaction) => {
      for (const call of [
        () => shop.timers.extend('order_confirm', id, '1h', { transaction }),
        () => shop.timers.remaining('order_confirm', id, { transaction }),
      ]) {
        const { code, message } = await refused(call)
        assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
        assert.ok(message.includes('it runs on a replica'), message)
      }
    })
  })

  it('gets an order again that its replica has never seen, and once', async () => {
    const dueAt = new Date(Date.now() - 1000)
    const id = await shop.order({ status: 4, confirmDueAt: dueAt })
    await shop.worker(EVERY_SECOND)
    await waitUntil(async () => (await undelivered('error IS NOT NULL')) === 1)
    fails = false
    await shop.database.client.query('UPDATE order_timers_history SET next_try = now()')
    await waitUntil(() => told.length > 0)
    assert.deepEqual(told, [`order_confirm:${id}:${dueAt.getTime()}`])
    await waitUntil(async () => (await undelivered()) === 0)
  })

  it('notes that an order whose row is gone is not delivered', async () => {
    const id = await shop.order({ status: 4, confirmDueAt: new Date(Date.now() - 1000) })
    await shop.worker(EVERY_SECOND)
    await waitUntil(async () => (await undelivered('error IS NOT NULL')) === 1)
    await shop.database.client.query('DELETE FROM orders WHERE id = $1', [id])
    await shop.database.client.query('UPDATE order_timers_history SET next_try = now()')
    await waitUntil(async () => (await undelivered()) === 0)
    const { rows } = await shop.database.client.query('SELECT error FROM order_timers_history')
    assert.match(rows[0].error, /its row is gone/)
    assert.deepEqual(told, [])
  })

  it('is asked for "after" with the row that the primary has', async () => {
    const [there, other] = [await shop.order({ status: 4, note: 'TW' }), await shop.order({ status: 4, note: 'TW' })]
    await replica.Order.create({ id: other, status: 4, note: 'JP' })
    for (const id of [there, other]) {
      const { deadline } = await shop.timers.schedule('order_confirm', id)
      assert.ok((deadline as Date).getTime() - Date.now() > 60_000, String(deadline))
    }
  })

  it('answers every call by the primary', async () => {
    const { timers, order } = shop
    const [confirm, pay, redis] = [await order({ status: 4, note: 'TW' }), await order({ status: 1 }), await order({ status: 2 })]
    for (const id of [confirm, pay, redis]) await replica.Order.create({ id, status: 0 })
    assert.ok((await timers.schedule('order_confirm', confirm)).deadline)
    assert.ok((await timers.extend('order_confirm', confirm, '1h')).deadline)
    assert.ok(((await timers.remaining('order_confirm', confirm)) as number) > 0)
    assert.deepEqual(
      (await timers.list(confirm)).map(({ kind }) => kind),
      ['order_confirm'],
    )
    assert.ok((await timers.schedule('order_pay', pay)).deadline)
    assert.ok(((await timers.remaining('order_pay', pay)) as number) > 0)
    assert.ok((await timers.schedule('order_redis', redis)).deadline)
    await timers.cancel('order_confirm', confirm)
    const { code } = await refused(() => timers.extend('order_confirm', confirm, '1h'))
    assert.equal(code, 'ERR_ORDER_TIMERS_NO_TIMER')
    await timers.check()
  })

  it('asks the primary about an instance that the replica shows in another status, or not whole', async () => {
    const [pay, confirm] = [await shop.order({ status: 1 }), await shop.order({ status: 4, note: 'TW' })]
    await replica.Order.create({ id: pay, status: 0 })
    await replica.Order.create({ id: confirm, status: 4, note: 'JP' })
    const { Order } = replicated(shop.database, replica)
    const stale = await Order.findByPk(pay, { rejectOnEmpty: true })
    assert.equal(stale.status, 0)
    assert.ok((await shop.timers.schedule('order_pay', stale)).deadline)
    const partial = await Order.findByPk(confirm, { rejectOnEmpty: true, attributes: ['id', 'status'] })
    const { deadline } = await shop.timers.schedule('order_confirm', partial)
    assert.ok((deadline as Date).getTime() - Date.now() > 60_000)
  })

  const undelivered = async (more = 'TRUE'): Promise<number> => {
    const { rows } = await shop.database.client.query(
      `SELECT count(*)::int AS count FROM order_timers_history WHERE next_try IS NOT NULL AND ${more}`,
    )
    return rows[0].count
  }
})

/** The same schema's orders, written at the primary and read at the replica. */
function replicated(primary: Database, replica: Database) {
  const at = ({ url, schema }: Database) => {
    const { hostname, port, pathname, username, password } = new URL(url)
    return {
      host: hostname,
      port,
      database: pathname.slice(1),
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
      dialectOptions: { options: `-c search_path=${schema}` },
    }
  }
  return primary.connectSequelize({ replication: { write: at(primary), read: [at(replica)] } } as never)
}
