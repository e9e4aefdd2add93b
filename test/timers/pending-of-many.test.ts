import assert from 'node:assert/strict'
import { DataTypes, Model } from 'sequelize'
import { effect, transition } from '../../lib/index.js'
import { freePort } from '../support/free-port.js'
import { refusal, refused } from '../support/refused.js'
import { makeTimers, openShop, type Shop } from '../support/shop.js'
import { DAY_MS, type OneOfEach, oneOfEach, PAY_MS } from '../support/shop-rules.js'

/** Whether it is so long, less what the test itself took. */
const nearly = (remaining: number | null | undefined, ms: number) =>
  assert.ok(typeof remaining === 'number' && remaining > ms - 5_000 && remaining <= ms, `${remaining}, and not about ${ms}`)

describe('remaining and list for many orders', () => {
  let shop: Shop<OneOfEach>
  let statements: string[]

  beforeEach(async () => {
    statements = []
    shop = await openShop(oneOfEach, { database: { sequelize: { logging: (sql) => statements.push(sql) } } })
  })

  afterEach(() => shop.close())

  const orders = (count: number, values: object) => shop.database.Order.bulkCreate(Array.from({ length: count }, () => ({ ...values })))

  it('answer in the order asked, as for one, with null where there is no timer and where there is no order', async () => {
    const { timers } = shop
    const [soon, late, none, gone] = await orders(4, { status: 4 })
    const placed = await shop.order()
    await timers.schedule('order_confirm', late!, { after: '3d' })
    await timers.schedule('order_confirm', soon!)
    await gone!.destroy()
    const asked = [late!.id, placed, soon!, 2147483647, none!, gone!, String(late!.id), BigInt(soon!.id)]
    const [first, ...more] = await timers.remaining('order_confirm', asked)
    nearly(first, 3 * DAY_MS)
    nearly(more[1], DAY_MS)
    nearly(more[5], 3 * DAY_MS)
    nearly(more[6], DAY_MS)
    assert.deepEqual([more[0], more[2], more[3], more[4]], [null, null, null, null])
  })

  it('take one statement, whatever the rule and however many the orders', async () => {
    const { timers } = shop
    const many = await orders(1000, { status: 1 })
    statements = []
    const left = await timers.remaining('order_pay', many)
    assert.equal(statements.length, 1)
    assert.equal(left.length, 1000)
    for (const ms of left) nearly(ms, PAY_MS)
    statements = []
    await timers.remaining('order_confirm', many)
    assert.equal(statements.length, 1)
    assert.equal((await timers.list(many)).length, 1000)
    assert.ok(statements.length <= 4, `${statements.length}`) // three rules with rows
    statements = []
    assert.deepEqual(await timers.remaining('order_confirm', []), [])
    assert.deepEqual(await timers.list([]), [])
    assert.deepEqual(statements, [])
  })

  it('know deadlines that are only in Redis, and keys that somebody else has set', async () => {
    const { timers, redis } = shop
    const [ours, theirs, moved, none] = await orders(4, { status: 2 })
    for (const order of [ours!, moved!]) await timers.schedule('order_ship', order)
    await redis.client.setex(shop.key(`order_ship:${theirs!.id}`), 100, 1)
    await moved!.update({ status: 3 })
    const left = await timers.remaining('order_ship', [none!, ours!, theirs!, moved!])
    assert.deepEqual([left[0], left[3]], [null, null])
    nearly(left[1], DAY_MS)
    nearly(left[2], 100_001)
    await timers.schedule('order_other', 7, { after: '2h' })
    await redis.client.setex(shop.key('order_other:8'), 100, 1)
    const others = await timers.remaining('order_other', [7, 9, '8'])
    nearly(others[0], 7_200_000)
    assert.equal(others[1], null)
    nearly(others[2], 100_001)
  })

  it('list the timers of each order under all rules, as for one', async () => {
    const { timers } = shop
    const shipped = await shop.order({ status: 4 })
    const placed = await shop.order()
    await timers.schedule('order_other', shipped, { after: '3d' })
    await timers.schedule('order_confirm', shipped)
    const listed = await timers.list([placed, 2147483647, shipped])
    const kinds = listed.map((timers) => timers.map(({ kind, id }) => `${kind} ${id}`))
    assert.deepEqual(kinds, [[`order_pay ${placed}`], [], [`order_confirm ${shipped}`, `order_other ${shipped}`]])
    for (const [index, order] of [placed, 2147483647, shipped].entries()) {
      const alone = await timers.list(order)
      assert.deepEqual(
        alone.map(({ deadline }) => Math.round(deadline.getTime() / 1000)),
        listed[index]?.map(({ deadline }) => Math.round(deadline.getTime() / 1000)),
      )
    }
  })

  it('read in the transaction that they are given', async () => {
    const { timers, database } = shop
    await database.sequelize.transaction(async (transaction) => {
      const order = await database.Order.create({ status: 4 }, { transaction })
      await timers.schedule('order_confirm', order, { transaction })
      nearly((await timers.remaining('order_confirm', [order], { transaction }))[0], DAY_MS)
      assert.deepEqual(await timers.remaining('order_confirm', [order], { transaction: null }), [null])
      assert.equal((await timers.list([order], { transaction }))[0]?.[0]?.kind, 'order_confirm')
    })
  })

  it('name the place of what is no id', async () => {
    const at = (place: number, shown: string) =>
      refusal(
        'INVALID_ID',
        400,
        `orderTimers: order_confirm: orders[${place}]: the order must be an id of Order.id's type, or an instance of Order, got ${shown}`,
      )
    const ask = (...orders: unknown[]) => refused(() => shop.timers.remaining('order_confirm', orders as never))
    assert.deepEqual(await ask(1, 2, '3x'), at(2, '"3x"'))
    assert.deepEqual(await ask(null), at(0, 'null'))
    assert.deepEqual(await ask(1, [2]), at(1, 'an array of 1'))
    const sparse = [1]
    sparse[2] = 3
    assert.deepEqual(await ask(...sparse), at(1, 'undefined'))
    const { code, message } = await refused(() => shop.timers.list([1, {} as never]))
    assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_ID')
    assert.match(message, /list: orders\[1\]/)
  })

  it('refuse more than 1,000 orders, a misspelt option and an unknown kind', async () => {
    const many = Array.from({ length: 1001 }, (_, index) => index + 1)
    const tooMany = (where: string) =>
      refusal('INVALID_OPTION', 500, `orderTimers: ${where}: orders must be 1000 at most, got 1001; call it for a page of them at a time`)
    assert.deepEqual(await refused(() => shop.timers.remaining('order_confirm', many)), tooMany('order_confirm'))
    assert.deepEqual(await refused(() => shop.timers.list(many)), tooMany('list'))
    const { message } = await refused(() => shop.timers.remaining('order_confirm', [1], { tx: 1 } as never))
    assert.match(message, /unknown option "tx"/)
    const unknown = await refused(() => shop.timers.remaining('order_cofirm' as never, [1]))
    assert.equal(unknown.code, 'ERR_ORDER_TIMERS_UNKNOWN_KIND')
  })

  it('say so if the deadlines are only in Redis, which does not answer; what is on the row is still known', async () => {
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id)
    for (const redis of [false, `redis://127.0.0.1:${await freePort()}`] as const) {
      const timers = makeTimers(oneOfEach(shop.database), { redis })
      nearly((await timers.remaining('order_confirm', [id]))[0], DAY_MS)
      for (const kind of ['order_ship', 'order_other'] as const) {
        const asked = kind === 'order_ship' ? await shop.order({ status: 2 }) : id
        const error = await refused(() => timers.remaining(kind, [asked]))
        assert.equal(error.code, 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE')
      }
      await timers.close()
    }
  })

  it('work on orders with ids of each type, on effects, and on paused orders', async () => {
    const { sequelize } = shop.database
    const types = { uuid: [DataTypes.UUID, '0B0DE4EE-3A3F-4F52-8A0B-0B8A2E5E9A11'], big: [DataTypes.BIGINT, '9007199254740993'] } as const
    for (const [name, [type, id]] of Object.entries(types)) {
      class Parcel extends Model {}
      Parcel.init(
        { id: { type, primaryKey: true }, open: DataTypes.BOOLEAN, dueAt: DataTypes.DATE, leftMs: DataTypes.BIGINT },
        { sequelize, modelName: `Parcel_${name}` },
      )
      await Parcel.sync()
      await Parcel.create({ id, open: true })
      const rules = {
        parcel_return: effect(Parcel, {
          where: { open: true },
          deadline: 'dueAt' as never,
          after: '2h',
          run: () => {},
          pause: { keep: 'leftMs' as never },
        }),
      }
      const timers = makeTimers(rules, { redis: false })
      await timers.schedule('parcel_return', id)
      nearly((await timers.remaining('parcel_return', [id]))[0], 7_200_000)
      await timers.pause('parcel_return', id)
      assert.deepEqual(await timers.remaining('parcel_return', [id]), [null])
      await timers.close()
    }
    const timers = makeTimers(
      { order_pay: transition(shop.database.Order, { from: 1, to: 0, since: 'createdAt', after: '15m' }) },
      { redis: false },
    )
    nearly((await timers.remaining('order_pay', [await shop.order()]))[0], PAY_MS)
    await timers.close()
  })
})
