import assert from 'node:assert/strict'
import { DataTypes, Model } from 'sequelize'
import { type OrderTimers, transition } from '../../lib/index.js'
import { armed } from '../support/armed.js'
import { INJECTIONS, NO_WHOLE_NUMBERS } from '../support/bad-ids.js'
import { openDatabase } from '../support/database.js'
import { refusal, refused } from '../support/refused.js'
import { makeTimers, openShop, type Shop } from '../support/shop.js'
import { type OneOfEach, oneOfEach } from '../support/shop-rules.js'

describe('the order that a call is about', () => {
  let shop: Shop<OneOfEach>
  let timers: OrderTimers<OneOfEach>
  let Order: Shop<OneOfEach>['database']['Order']
  let statements: string[]

  beforeEach(async () => {
    statements = []
    shop = await openShop(oneOfEach, { database: { sequelize: { logging: (sql) => statements.push(sql) } } })
    timers = shop.timers
    Order = shop.database.Order
  })

  afterEach(() => shop.close())

  it('is the same as 34, 34n, "34" and the instance', async () => {
    const { id } = await Order.create({ id: 34, status: 4 })
    for (const order of [34, 34n, '34', await Order.findByPk(34, { rejectOnEmpty: true })]) {
      const { deadline } = await timers.schedule('order_confirm', order)
      assert.equal((await armed(shop.redis, 'order_confirm', 34)).due, deadline?.getTime())
      assert.equal((await timers.list(order)).length, 1)
      assert.ok(((await timers.remaining('order_confirm', order)) as number) > 0)
      await timers.extend('order_confirm', order, '1h')
      await timers.cancel('order_confirm', order)
    }
    assert.equal((await Order.findByPk(id))?.confirmDueAt, null)
  })

  it('that is text says what it may be, when it is refused', async () => {
    class Note extends Model {}
    const columns = { id: { type: DataTypes.STRING, primaryKey: true }, status: DataTypes.INTEGER, dueAt: DataTypes.DATE }
    Note.init(columns, { sequelize: shop.database.sequelize, timestamps: false })
    const notes = makeTimers({ close: transition(Note, { from: 1, to: 0, deadline: 'dueAt', after: '1h' }) }, { redis: false })
    const wanted = "the order must be an id of Note.id's type, or an instance of Note"
    const message = `orderTimers: close: ${wanted}, got "a b"; ids that are text must be letters, digits and _ . ~ - (128 at most, the first no . or ~)`
    assert.deepEqual(await refused(() => notes.schedule('close', 'a b')), refusal('INVALID_ID', 400, message))
    await notes.close()
  })

  it('is not shown where it may be a row: no value of a row is in a message', async () => {
    for (const text of [JSON.stringify({ id: 34, email: 'a@b.example' }), 'a@b.example', 'x'.repeat(41)]) {
      const { code, message } = await refused(() => timers.schedule('order_confirm', text))
      assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_ID')
      assert.ok(message.includes(`got a text of ${text.length} characters that looks like no id`), message)
      assert.ok(!message.includes(text.slice(0, 11)), message)
    }
  })

  it('is refused when it is missing or no id of the type, before Postgres or Redis is asked', async () => {
    statements.length = 0
    const message = (call: string, shown: string) =>
      `orderTimers: ${call}: the order must be an id of Order.id's type, or an instance of Order, got ${shown}`
    const expected = (shown: string) => refusal('INVALID_ID', 400, message('order_confirm', shown))
    assert.deepEqual(await refused(() => timers.schedule('order_confirm', undefined as never)), expected('undefined'))
    assert.deepEqual(await refused(() => timers.schedule('order_confirm', null as never)), expected('null'))
    assert.deepEqual(await refused(() => timers.schedule('order_confirm', '1; drop table orders')), expected('"1; drop table orders"'))
    assert.deepEqual(await refused(() => timers.schedule('order_confirm', ' 2 ')), expected('" 2 "'))
    assert.deepEqual(await refused(() => timers.schedule('order_confirm', '2147483648')), expected('"2147483648"'))
    assert.deepEqual(await refused(() => timers.schedule('order_confirm', Number.NaN)), expected('NaN'))
    assert.deepEqual(await refused(() => timers.schedule('order_confirm', '9'.repeat(10_000))), expected(`"${'9'.repeat(126)}…`))
    for (const bad of [...NO_WHOLE_NUMBERS, ...INJECTIONS] as never[]) {
      for (const call of [
        () => timers.schedule('order_confirm', bad),
        () => timers.schedule('order_pay', bad),
        () => timers.schedule('order_ship', bad),
        () => timers.extend('order_confirm', bad, '1h'),
        () => timers.cancel('order_confirm', bad),
        () => timers.remaining('order_confirm', Array.isArray(bad) ? [bad] : bad), // an array is many orders
        () => timers.remaining('order_confirm', [bad]),
      ]) {
        assert.equal((await refused(call)).code, 'ERR_ORDER_TIMERS_INVALID_ID', String(bad))
      }
    }
    assert.deepEqual(statements, [])
    assert.deepEqual(await shop.redis.client.keys(`${shop.redis.prefix}*`), [])
  })

  it("is refused by a plain function's rule where it cannot stand in a key", async () => {
    const expected = (shown: string) => refusal('INVALID_ID', 400, `orderTimers: order_other: the order must be an id, got ${shown}`)
    assert.deepEqual(await refused(() => timers.schedule('order_other', '1:2', { after: '1h' })), expected('"1:2"'))
    assert.deepEqual(await refused(() => timers.schedule('order_other', '', { after: '1h' })), expected('""'))
    assert.deepEqual(await refused(() => timers.schedule('order_other', '7\r\nSET a 1', { after: '1h' })), expected('"7\\r\\nSET a 1"'))
  })

  it('is refused by list when it is no id of any rule', async () => {
    const message = 'orderTimers: list: the order must be an id, got "1; drop table orders"'
    assert.deepEqual(await refused(() => timers.list('1; drop table orders')), refusal('INVALID_ID', 400, message))
    assert.deepEqual(
      await refused(() => timers.list(null as never)),
      refusal('INVALID_ID', 400, 'orderTimers: list: the order must be an id, got null'),
    )
  })

  it('that is an instance is refreshed, and has nothing left to save', async () => {
    const order = await Order.create({ status: 4 })
    const { deadline } = await timers.schedule('order_confirm', order)
    assert.deepEqual(order.confirmDueAt, deadline)
    assert.equal(order.changed(), false)
    const extended = await timers.extend('order_confirm', order, '1h')
    assert.deepEqual(order.confirmDueAt, extended.deadline)
    await order.update({ note: 'mine' })
    assert.deepEqual((await Order.findByPk(order.id))?.confirmDueAt, extended.deadline)
    await timers.cancel('order_confirm', order)
    assert.equal(order.confirmDueAt, null)
    assert.equal(order.changed(), false)
  })

  it('that is an instance keeps what the shop has changed and not saved', async () => {
    const order = await Order.create({ status: 4, note: 'old' })
    order.note = 'new'
    order.confirmDueAt = new Date(0)
    const { deadline } = await timers.schedule('order_confirm', order)
    assert.deepEqual(order.changed(), ['note'])
    assert.deepEqual([order.note, order.previous('note')], ['new', 'old'])
    assert.deepEqual([order.confirmDueAt, order.previous('confirmDueAt')], [deadline, deadline])
    assert.equal((await Order.findByPk(order.id))?.note, 'old')
  })

  it('that is an instance read through a scope is that order too', async () => {
    Order.addScope('shipped', { where: { status: 4 } })
    const { id } = await Order.create({ status: 4 })
    for (const order of [await Order.unscoped().findByPk(id), await Order.scope('shipped').findByPk(id)]) {
      await timers.schedule('order_confirm', order as Model)
      assert.equal((await timers.list(order as Model)).length, 1)
    }
  })

  it("that is an instance of another model is refused, rather than taken for the order with that model's id", async () => {
    class Parcel extends Model {}
    Parcel.init({ status: DataTypes.INTEGER }, { sequelize: shop.database.sequelize })
    await Order.create({ id: 34, status: 4 })
    const { code } = await refused(() => timers.schedule('order_confirm', Parcel.build({ id: 34, status: 4 })))
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_ID')
    assert.equal((await Order.findByPk(34))?.confirmDueAt, null)
  })

  it('that is an instance of the same model of another Sequelize is taken if that has the same database, else refused', async () => {
    const { Order: Same } = shop.database.connectSequelize()
    const tenant = await openDatabase()
    const [{ id }, other] = [await Order.create({ status: 4 }), await tenant.Order.create({ status: 4 })]
    assert.equal(other.id, id)
    const wanted = "the order must be an id of Order.id's type, or an instance of Order"
    const message = `orderTimers: order_confirm: ${wanted}, got an instance of an Order of another database or table; pass its id if it is the same order`
    assert.deepEqual(await refused(() => timers.schedule('order_confirm', other)), refusal('INVALID_ID', 400, message))
    assert.equal((await Order.findByPk(id))?.confirmDueAt, null)
    await timers.schedule('order_confirm', await Same.findByPk(id, { rejectOnEmpty: true }))
    await tenant.close()
  })

  it('that is an instance shows nothing of its row in an error', async () => {
    const order = Order.build({ status: 4, note: 'to be delivered to Mrs Chen' })
    const { message } = await refused(() => timers.schedule('order_confirm', order))
    assert.doesNotMatch(message, /Chen/)
  })
})
