// What shops do beside their timers, and what must not come between the two.

import assert from 'node:assert/strict'
import { DataTypes, Model, type ModelStatic } from 'sequelize'
import { transition } from '../../lib/index.js'
import { heard } from '../life/parcels.js'
import { openShop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const COLUMNS = { status: DataTypes.INTEGER, dueAt: DataTypes.DATE }
const CONFIRM = { from: 4, to: 5, deadline: 'dueAt' as never, after: '24h' } as const

describe('a shop', () => {
  it('whose hooks cache its orders in Redis, under keys with a TTL, keeps those keys', async () => {
    class Parcel extends Model {}
    const shop = await openShop(({ sequelize }) => {
      Parcel.init(COLUMNS, { sequelize, tableName: 'parcels' })
      return { order_confirm: transition(Parcel, CONFIRM) }
    })
    await Parcel.sync()
    const { client } = shop.redis
    const key = (id: unknown) => shop.key(`order:${id}`)
    const cache = (parcel: Model, ttlMs = 60_000) => client.set(key(parcel.get('id')), JSON.stringify(parcel), 'PX', ttlMs)
    Parcel.addHook('afterSave', async (parcel: Model) => void (await cache(parcel)))
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const [parcel, other] = [await Parcel.create({ status: 4 }), await Parcel.create({ status: 4 })]
    const cached = await client.get(key(parcel.get('id')))
    await shop.timers.schedule('order_confirm', parcel, { after: 300 })
    await shop.timers.schedule('order_confirm', other)
    await cache(other, 50)
    await waitUntil(() => worker.settled.length)
    await waitUntil(() => worker.health().events.external > 0)
    assert.deepEqual(
      worker.settled.map(({ id, via }) => [id, via]),
      [[String(parcel.get('id')), 'alarm']],
    )
    assert.equal(await client.get(key(parcel.get('id'))), cached, 'a settlement without "individualHooks" calls no hook')
    assert.equal((await other.reload()).get('status'), 4)
    assert.equal((await shop.timers.list(other)).length, 1)
    await shop.close()
  })

  it('whose worker starts before its tables exist has its orders settled as soon as they do', async () => {
    class Late extends Model {}
    const shop = await openShop(({ sequelize }) => {
      Late.init(COLUMNS, { sequelize, tableName: 'late_orders' })
      return { order_confirm: transition(Late, CONFIRM) }
    })
    const worker = await shop.worker({ fallback: '* * * * * *' })
    const told = heard(worker, 'recovered')
    const message =
      'orderTimers: rule "order_confirm": there is no table "late_orders" (yet); create it, or name the right one in the model'
    assert.deepEqual(
      worker.health().faults.map(({ code, message }) => ({ code, message })),
      [{ code: 'INVALID_MODEL', message }],
    )
    await Late.sync()
    const order = await Late.create({ status: 4, dueAt: new Date(Date.now() - 1000) })
    await waitUntil(() => worker.settled.length)
    await waitUntil(() => told.recovered.length)
    assert.deepEqual([(await order.reload()).get('status'), worker.health().status], [5, 'ok'])
    await shop.close()
  })

  it('with deadlines on two models has them kept apart, although the ids are the same', async () => {
    class Parcel extends Model {}
    class Booking extends Model {}
    const shop = await openShop(({ sequelize }) => {
      for (const [model, tableName] of [
        [Parcel, 'parcels'],
        [Booking, 'bookings'],
      ] as [ModelStatic<Model>, string][])
        model.init(COLUMNS, { sequelize, tableName })
      return { parcel_confirm: transition(Parcel, CONFIRM), booking_end: transition(Booking, { ...CONFIRM, to: 6 }) }
    })
    for (const model of [Parcel, Booking]) await model.sync()
    const [parcel, booking] = [await Parcel.create({ status: 4 }), await Booking.create({ status: 4 })]
    assert.equal(parcel.get('id'), booking.get('id'))
    await shop.timers.schedule('parcel_confirm', parcel)
    await shop.timers.schedule('booking_end', booking, { after: 100 })
    assert.deepEqual(
      (await shop.timers.list(parcel)).map(({ kind }) => kind),
      ['parcel_confirm'],
    )
    assert.deepEqual(
      (await shop.timers.list(booking)).map(({ kind }) => kind),
      ['booking_end'],
    )
    assert.deepEqual(
      (await shop.timers.list(1)).map(({ kind }) => kind),
      ['booking_end', 'parcel_confirm'],
    )
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.settled.length)
    await shop.timers.cancel('parcel_confirm', parcel)
    assert.deepEqual([(await parcel.reload()).get('status'), (await booking.reload()).get('status')], [4, 6])
    await shop.close()
  })
})
