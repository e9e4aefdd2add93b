import assert from 'node:assert/strict'
import { DataTypes, Model, Sequelize } from 'sequelize'
import { effect, orderTimers } from '../../lib/index.js'
import { EVERY_SECOND, heard, openParcels, type Parcel, type ParcelShop } from '../life/parcels.js'
import { refusal, refused } from '../support/refused.js'
import { waitUntil } from '../support/waiting.js'

const invalid = (message: string) => refusal('INVALID_OPTION', 500, `orderTimers: rule "order_unpaid": ${message}`)

describe('effect(Model, options)', () => {
  class Order extends Model {}
  Order.init({ isPaid: DataTypes.BOOLEAN, dueAt: DataTypes.DATE }, { sequelize: new Sequelize({ dialect: 'postgres' }) })
  const PLAIN = { where: { isPaid: false }, run: () => {}, deadline: 'dueAt', after: '15m' }
  const timersWith = (options: unknown) => orderTimers({ redis: false, rules: { order_unpaid: effect(Order, options as never) } })
  const declared = (options: unknown) => refused(() => timersWith(options))

  it('needs a "where" with a condition, and a "run"', async () => {
    const where = '"where" must say where the effect applies, such as { isPaid: false }; without it, it would apply to every row'
    assert.deepEqual(await declared({ ...PLAIN, where: undefined }), invalid(where))
    assert.deepEqual(await declared({ ...PLAIN, where: {} }), invalid(where))
    assert.deepEqual(
      await declared({ ...PLAIN, where: 'unpaid' }),
      invalid('"where" must be a Sequelize "where", such as { paid: false }, got "unpaid"'),
    )
    assert.deepEqual(await declared({ ...PLAIN, run: undefined }), invalid('"run" must be the effect, a function of the locked orders'))
    assert.deepEqual(await declared({ ...PLAIN, run: 'refund' }), invalid('"run" must be a function, got "refund"'))
    assert.deepEqual(await declared({ ...PLAIN, where: [] }), invalid(where))
  })

  it('does not take the options about statuses', async () => {
    const known =
      'where, run, afterCommit, history, description, attempts, timeout, staleAfter, reminders, dryRun, brake, verify, deadline, since, after, pause, maxExtensions, maxTotal, extended, backfill'
    for (const name of ['from', 'to', 'set', 'status', 'individualHooks', 'auto'])
      assert.deepEqual(await declared({ ...PLAIN, [name]: 1 }), invalid(`unknown option "${name}"; the options are ${known}`))
    assert.deepEqual(await declared(null), invalid('effect() takes its options as an object, got null'))
  })
})

describe('an effect', () => {
  let close: () => Promise<void>

  afterEach(() => close())

  const open: typeof openParcels = async (makeRules, options) => {
    const shop = await openParcels(makeRules, options)
    close = shop.close
    return shop
  }
  /** A table of goods in stock, beside the parcels. */
  const stocked = async (shop: ParcelShop<never>) => {
    await shop.sql('CREATE TABLE stock (parcel_id int PRIMARY KEY, pieces int NOT NULL)')
    return async () => (await shop.sql('SELECT parcel_id, pieces FROM stock ORDER BY 1')).map(Object.values)
  }

  it('soft-deletes what is unpaid and puts its stock back, in one transaction, once; what is paid stays', async () => {
    const shop = await open((Parcels, sequelize) => ({
      order_unpaid: effect(Parcels, {
        where: { isPaid: false },
        since: 'placedAt',
        after: '15m',
        run: async (parcels, { transaction }) => {
          for (const parcel of parcels) {
            await sequelize.query('UPDATE stock SET pieces = pieces + 1 WHERE parcel_id = $1', { bind: [parcel.id], transaction })
            await parcel.destroy({ transaction })
          }
        },
      }),
    }))
    const pieces = await stocked(shop as never)
    const long = new Date(Date.now() - 3_600_000)
    const [unpaid, paid, fresh] = [
      await shop.parcel(null, { placedAt: long }),
      await shop.parcel(null, { placedAt: long, isPaid: true }),
      await shop.parcel(),
    ]
    await shop.sql('INSERT INTO stock SELECT id, 0 FROM parcels')
    const worker = await shop.worker(EVERY_SECOND)
    assert.deepEqual(
      worker.settled.map(({ id }) => id),
      [String(unpaid)],
    )
    assert.deepEqual(await pieces(), [
      [unpaid, 1],
      [paid, 0],
      [fresh, 0],
    ])
    assert.deepEqual(
      (await Promise.all([unpaid, paid, fresh].map(shop.find))).map(({ deletedAt }) => deletedAt !== null),
      [true, false, false],
    )
  })

  it('that leaves an order due under "since" is rolled back with STILL_DUE until the order is a dead letter; the others settle', async () => {
    const shop = await open((Parcels, sequelize) => ({
      order_unpaid: effect(Parcels, {
        where: { isPaid: false },
        since: 'placedAt',
        after: '1s',
        attempts: 2,
        run: async (parcels, { transaction }) => {
          for (const { id } of parcels) await sequelize.query('INSERT INTO stock VALUES ($1, 1)', { bind: [id], transaction })
          const ending = parcels.filter(({ country }) => country !== 'nowhere').map(({ id }) => id)
          await Parcels.update({ isPaid: true }, { where: { id: ending }, transaction })
        },
      }),
    }))
    const pieces = await stocked(shop as never)
    const placedAt = new Date(Date.now() - 10_000)
    const ids = [
      await shop.parcel(null, { placedAt }),
      await shop.parcel(null, { placedAt, country: 'nowhere' }),
      await shop.parcel(null, { placedAt }),
    ]
    const worker = await shop.worker(EVERY_SECOND)
    await waitUntil(() => worker.deadTold.length === 1)
    const [left] = worker.deadTold
    const message = `orderTimers: rule "order_unpaid": Parcel "${ids[1]}" is still due after "run"; let "run" write what "where" asks for, so that the order does not match any more`
    assert.deepEqual(
      { ...left, error: await refused(() => Promise.reject(left?.error)) },
      {
        kind: 'order_unpaid',
        id: String(ids[1]),
        error: refusal('STILL_DUE', 500, message),
        attempts: 2,
      },
    )
    assert.deepEqual(await pieces(), [
      [ids[0], 1],
      [ids[2], 1],
    ])
    assert.deepEqual(
      worker.settled.map(({ id }) => Number(id)).sort((a, b) => a - b),
      [ids[0], ids[2]],
    )
    assert.equal(worker.health().kinds.order_unpaid?.failed, 2)
  })

  const confirming = (work: (parcels: Parcel[]) => unknown = () => {}) =>
    open((Parcels) => ({ order_confirm: effect(Parcels, { where: { isPaid: true }, deadline: 'dueAt', after: '24h', run: work }) }))

  it('with a deadline on the row is scheduled, extended and cancelled, and clears the deadline when it is settled', async () => {
    const seen: (Date | null)[] = []
    const shop = await confirming((parcels) => seen.push(...parcels.map(({ dueAt }) => dueAt)))
    const parcel = await shop.find(await shop.parcel(null, { isPaid: true }))
    const { deadline } = await shop.timers.schedule('order_confirm', parcel)
    assert.deepEqual(parcel.dueAt, deadline)
    const extended = await shop.timers.extend('order_confirm', parcel.id, '1h')
    assert.equal(extended.deadline?.getTime(), (deadline?.getTime() as number) + 3_600_000)
    assert.equal((await shop.timers.list(parcel.id)).length, 1)
    assert.equal((await shop.timers.cancel('order_confirm', parcel.id)).deadline, null)
    const worker = await shop.worker({ fallback: false })
    await shop.timers.schedule('order_confirm', parcel, { after: 50 })
    await waitUntil(() => worker.settled.length)
    assert.equal(worker.settled[0]?.via, 'alarm')
    assert.deepEqual(seen, [null])
    assert.equal((await shop.find(parcel.id)).dueAt, null)
  })

  it('refuses calls about orders that it does not apply to, and says what it applies to', async () => {
    const shop = await confirming()
    const id = await shop.parcel()
    const why = `Parcel "${id}" is none of those; the rule applies to orders for which its "where" holds`
    const expected = refusal('ORDER_NOT_IN_FROM', 409, `orderTimers: order_confirm: ${why}`)
    assert.deepEqual(await refused(() => shop.timers.schedule('order_confirm', id)), expected)
    assert.deepEqual(await refused(() => shop.timers.extend('order_confirm', id, '1h')), expected)
    assert.deepEqual(await refused(() => shop.timers.cancel('order_confirm', id)), expected)
    assert.equal(await shop.timers.remaining('order_confirm', id), null)
  })

  it('with "deadline: false" is settled when an external key expires, guarded by its "where" alone', async () => {
    const shop = await open((Parcels) => ({
      order_ship: effect(Parcels, {
        where: { isPaid: true },
        deadline: false,
        run: async (parcels, { transaction }) => {
          for (const parcel of parcels) await parcel.update({ status: 9 }, { transaction })
        },
      }),
    }))
    const [paid, unpaid] = [await shop.parcel(null, { isPaid: true }), await shop.parcel()]
    const worker = await shop.worker({ fallback: false })
    const told = heard(worker, 'settled')
    for (const id of [paid, unpaid]) await shop.redis.client.set(shop.key(`order_ship:${id}`), '1', 'PX', 50)
    await waitUntil(() => worker.health().kinds.order_ship?.gone)
    await waitUntil(() => told.settled.length)
    assert.deepEqual(
      (await Promise.all([paid, unpaid].map(shop.find))).map(({ status }) => status),
      [9, 4],
    )
  })

  it('works on a model that has no status', async () => {
    class Cart extends Model {}
    const shop = await open((_, sequelize) => {
      Cart.init({ emptyBy: DataTypes.DATE, goods: DataTypes.INTEGER }, { sequelize, tableName: 'carts', timestamps: false })
      return {
        cart_empty: effect(Cart, {
          where: { goods: 3 },
          deadline: 'emptyBy' as never,
          run: async (carts, { transaction }) => {
            for (const cart of carts) await cart.update({ goods: 0 }, { transaction })
          },
        }),
      }
    })
    await Cart.sync()
    await shop.timers.check()
    const cart = await Cart.create({ goods: 3, emptyBy: new Date(Date.now() - 1000) })
    await shop.worker()
    assert.deepEqual((await cart.reload()).get(), { id: 1, goods: 0, emptyBy: null })
  })
})
