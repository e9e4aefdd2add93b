import assert, { AssertionError } from 'node:assert/strict'
import { effect, startExpiryWorker, transition } from '../lib/index.js'
import { assertNotScheduled, assertScheduled, expire } from '../lib/testing.js'
import { openParcels, type ParcelShop, type Parcels } from './life/parcels.js'
import { refusal, refused } from './support/refused.js'
import { makeTimers, openShop, type Shop, watched } from './support/shop.js'
import { oneOfEach } from './support/shop-rules.js'
import { waitForEvent, waitUntil } from './support/waiting.js'

const HOUR_MS = 3_600_000

/** Fails unless the assertion fails; its message. */
async function failed(assertion: Promise<unknown>): Promise<string> {
  const error = await assertion.then(
    () => undefined,
    (error) => error,
  )
  assert.ok(error instanceof AssertionError, `no failed assertion: ${error}`)
  return error.message
}

describe('expire(worker, kind, order)', () => {
  describe('settles', () => {
    const handled: string[] = []
    const makeRules = ({ Order }: Parameters<typeof oneOfEach>[0]) => ({
      ...oneOfEach({ Order }),
      order_other: async ({ ids }: { ids: string[] }) => void handled.push(...ids),
    })
    let shop: Shop<ReturnType<typeof makeRules>>
    beforeEach(async () => {
      shop = await openShop(makeRules)
    })
    afterEach(() => shop.close())

    it('an order with a deadline of its own, long before it', async () => {
      const worker = await shop.worker({ fallback: false })
      const order = await shop.database.Order.create({ status: 4 })
      await shop.timers.schedule('order_confirm', order)
      const settled = await expire(worker, 'order_confirm', order)
      assert.equal(settled.id, String(order.id))
      assert.ok((settled.latenessMs as number) < 1000)
      assert.equal(await shop.statusOf(order.id), 5)
      await order.reload()
      assert.equal(order.confirmDueAt, null)
    })

    it('an order whose deadline is counted from a column, by its id', async () => {
      const worker = await shop.worker({ fallback: false })
      const [id, other] = [await shop.order({ status: 1 }), await shop.order({ status: 1 })]
      assert.equal((await expire(worker, 'order_pay', id)).id, String(id))
      assert.deepEqual([await shop.statusOf(id), await shop.statusOf(other)], [0, 1])
    })

    it('what is only in Redis: a rule without a deadline on the row, and a plain function', async () => {
      const worker = await shop.worker({ fallback: false })
      const id = await shop.order({ status: 2 })
      await shop.timers.schedule('order_ship', id)
      await shop.timers.schedule('order_other', 'cart-7', { after: '1h' })
      await expire(worker, 'order_ship', id)
      assert.equal(await shop.statusOf(id), 0)
      await expire(worker, 'order_other', 'cart-7')
      assert.deepEqual(handled, ['cart-7'])
    })

    it('without Redis', async () => {
      const timers = makeTimers(oneOfEach(shop.database), { redis: false })
      const worker = watched(startExpiryWorker(timers, { fallback: false }))
      const id = await shop.order({ status: 4 })
      await timers.schedule('order_confirm', id)
      await expire(worker, 'order_confirm', id)
      assert.equal(await shop.statusOf(id), 5)
      await worker.stop()
      await timers.close()
    })
  })

  it('waits for what follows the commit too', async () => {
    const told: number[] = []
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, {
        ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' },
        afterCommit: async (orders) => {
          await new Promise((resolve) => setTimeout(resolve, 50))
          told.push(...orders.map(({ id }) => id))
        },
      }),
    }))
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id)
    await expire(worker, 'order_confirm', id)
    assert.deepEqual(told, [id])
    await shop.close()
  })

  describe('with more on the row', () => {
    const reminded: number[] = []
    const makeRules = (Parcel: Parcels) => ({
      parcel_confirm: transition(Parcel, {
        ...{ from: 4, to: 5, deadline: 'dueAt', after: '24h', history: true },
        ...{ maxExtensions: 1, extended: 'extended', pause: { keep: 'leftMs' }, brake: { max: 1, per: '1h' } },
        reminders: [{ before: '2h', run: async (parcels) => void reminded.push(...parcels.map(({ id }) => id)) }],
      }),
      parcel_close: transition(Parcel, {
        ...{ from: 5, to: 6, deadline: 'placedAt', after: '7d', pause: { keep: 'leftMs', while: { disputeOpen: true } } },
      }),
    })
    let shop: ParcelShop<ReturnType<typeof makeRules>>
    beforeEach(async () => {
      shop = await openParcels(makeRules)
    })
    afterEach(() => shop.close())

    it('leaves the extensions counted', async () => {
      const worker = await shop.worker({ fallback: false })
      const id = await shop.parcel()
      await shop.timers.schedule('parcel_confirm', id)
      await shop.timers.extend('parcel_confirm', id, '24h')
      await expire(worker, 'parcel_confirm', id)
      const { status, extended } = await shop.find(id)
      assert.deepEqual([status, extended], [5, 1])
    })

    it('brings a reminder forward, and the deadline with it, by its own time', async () => {
      const worker = await shop.worker({ fallback: false })
      const id = await shop.parcel()
      await shop.timers.schedule('parcel_confirm', id)
      await expire(worker, 'parcel_confirm', id, { reminder: '2h' })
      assert.deepEqual(reminded, [id])
      assert.equal((await shop.find(id)).status, 4)
      await assertScheduled(shop.timers, 'parcel_confirm', id, { after: '119m', within: '2h' })
    })

    it('says that the order is paused, by a call or by what its row says', async () => {
      const worker = await shop.worker({ fallback: false })
      const id = await shop.parcel()
      await shop.timers.schedule('parcel_confirm', id)
      await shop.timers.pause('parcel_confirm', id)
      const message = `expire: parcel_confirm: Parcel "${id}" is paused; call resume('parcel_confirm', …) first`
      assert.deepEqual(await refused(() => expire(worker, 'parcel_confirm', id)), refusal('NO_TIMER', 409, message))
      const other = await shop.parcel(null, { status: 5, disputeOpen: true, placedAt: new Date(Date.now() + HOUR_MS) })
      assert.match((await refused(() => expire(worker, 'parcel_close', other))).message, /"\d+" is paused by what its row says$/)
    })

    it('says that the brake has stopped the rule', async () => {
      const worker = await shop.worker({ fallback: false })
      for (const _ of [1, 2]) await shop.parcel(-1000)
      await worker.sweepNow()
      await waitUntil(() => worker.faultsTold.some(({ code }) => code === 'BRAKED'))
      const id = await shop.parcel()
      await shop.timers.schedule('parcel_confirm', id)
      const { code, message } = await refused(() => expire(worker, 'parcel_confirm', id))
      assert.equal(code, 'ERR_ORDER_TIMERS_NOT_SETTLED')
      assert.match(message, /was not settled: the brake has stopped the rule$/)
    })

    it('names the table of the brake where it is missing', async () => {
      const worker = await shop.worker({ fallback: false })
      const id = await shop.parcel()
      await shop.timers.schedule('parcel_confirm', id)
      await shop.sql('DROP TABLE order_timers_brakes')
      const { code, message } = await refused(() => expire(worker, 'parcel_confirm', id))
      assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
      assert.match(message, /order_timers_brakes/)
    })
  })

  describe('says why an order', () => {
    let shop: Shop<ReturnType<typeof oneOfEach>>
    beforeEach(async () => {
      shop = await openShop(oneOfEach)
    })
    afterEach(() => shop.close())

    it('cannot be settled: it is gone, has another status, or no timer', async () => {
      const worker = await shop.worker({ fallback: false })
      const id = await shop.order({ status: 5 })
      const model = 'expire: order_confirm: Order'
      assert.equal((await refused(() => expire(worker, 'order_confirm', 999))).code, 'ERR_ORDER_TIMERS_ORDER_NOT_FOUND')
      assert.equal((await refused(() => expire(worker, 'order_confirm', id))).code, 'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM')
      const shipped = await shop.order({ status: 4 })
      assert.deepEqual(
        await refused(() => expire(worker, 'order_confirm', shipped)),
        refusal('NO_TIMER', 409, `${model} "${shipped}" has no timer; call schedule('order_confirm', …) first`),
      )
      assert.equal((await refused(() => expire(worker, 'order_other', 'cart-8'))).code, 'ERR_ORDER_TIMERS_NO_TIMER')
      const paid = await shop.order({ status: 2 })
      assert.equal((await refused(() => expire(worker, 'order_ship', paid))).code, 'ERR_ORDER_TIMERS_NO_TIMER')
      assert.equal((await refused(() => expire(worker, 'order_cofirm', id))).code, 'ERR_ORDER_TIMERS_UNKNOWN_KIND')
    })

    it('is not settled: its row is locked', async () => {
      const worker = await shop.worker({ fallback: false })
      const id = await shop.order({ status: 4 })
      await shop.timers.schedule('order_confirm', id)
      const holder = await shop.database.connect()
      await holder.query('BEGIN')
      await holder.query('SELECT FROM orders WHERE id = $1 FOR UPDATE', [id])
      assert.deepEqual(
        await refused(() => expire(worker, 'order_confirm', id)),
        refusal('ROW_LOCKED', 503, `expire: order_confirm: Order "${id}" is locked by another transaction; end that first`),
      )
      await holder.query('ROLLBACK')
    })

    it('is not settled: the worker has stopped', async () => {
      const worker = await shop.worker({ fallback: false })
      await worker.stop()
      assert.deepEqual(
        await refused(() => expire(worker, 'order_confirm', 34)),
        refusal('NOT_SETTLED', 500, 'expire: the worker has stopped, and settles nothing'),
      )
    })

    it('is none: the first argument is no worker, an option is misspelt', async () => {
      const worker = await shop.worker({ fallback: false })
      const { code, message } = await refused(() => expire(shop.timers as never, 'order_confirm', 34))
      assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
      assert.match(message, /^expire: the first argument must be a worker; pass what startExpiryWorker\(…\) returned/)
      assert.match((await refused(() => expire(worker, 'order_confirm', 34, { whitin: 5 } as never))).message, /unknown option "whitin"/)
      assert.match(
        (await refused(() => expire(worker, 'order_confirm', 34, { reminder: '2h' }))).message,
        /^expire: order_confirm has no reminder 2h before its deadline; there are: none$/,
      )
    })
  })

  it('says what a rule failed with, at once', async () => {
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, {
        ...{ from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', attempts: 2 },
        run: () => {
          throw new Error('out of stock')
        },
      }),
    }))
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id)
    const began = performance.now()
    const error = await expire(worker, 'order_confirm', id).catch((error) => error)
    assert.ok(performance.now() - began < 2000)
    assert.match(
      error.message,
      /^expire: order_confirm: Order "\d+" was not settled: attempt 1 failed \(out of stock\), and it is tried again in/,
    )
    assert.equal(error.code, 'ERR_ORDER_TIMERS_NOT_SETTLED')
    assert.equal(error.cause.message, 'out of stock')
    assert.equal(await shop.statusOf(id), 4)
    await shop.close()
  })

  it('says that "dryRun" is on', async () => {
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', dryRun: true }),
    }))
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id)
    assert.match((await refused(() => expire(worker, 'order_confirm', id))).message, /"dryRun" is on, and it would have been$/)
    await shop.close()
  })

  it('says that the time is over, and what delays the worker', async () => {
    let goOn = (): void => {}
    const wait = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', run: () => wait }),
    }))
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ status: 4 })
    await shop.timers.schedule('order_confirm', id)
    const { message } = await refused(() => expire(worker, 'order_confirm', id, { within: 300 }))
    assert.match(message, /was not settled: waited 300 ms, but its row is locked by another transaction$/)
    const settled = waitForEvent(worker, 'settled')
    goOn()
    await settled
    await shop.close()
  })

  it('brings an effect forward as well', async () => {
    const shop = await openShop(({ Order }) => ({
      cart_drop: effect(Order, {
        ...{ where: { note: 'cart' }, since: 'createdAt', after: '1h' },
        run: async (orders, { transaction }) => {
          for (const order of orders) await order.destroy({ transaction })
        },
      }),
    }))
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ note: 'cart' })
    await expire(worker, 'cart_drop', id)
    assert.equal(await shop.database.Order.findByPk(id), null)
    await shop.close()
  })
})

describe('assertScheduled and assertNotScheduled', () => {
  let shop: Shop<ReturnType<typeof oneOfEach>>
  beforeEach(async () => {
    shop = await openShop(oneOfEach)
  })
  afterEach(() => shop.close())

  it('hold for what the row says, and for what is only in Redis', async () => {
    const { timers } = shop
    const order = await shop.database.Order.create({ status: 4 })
    await assertNotScheduled(timers, 'order_confirm', order)
    await timers.schedule('order_confirm', order)
    const timer = await assertScheduled(timers, 'order_confirm', order, { after: '23h', within: '24h' })
    assert.deepEqual(timer.deadline, order.confirmDueAt)
    await assertScheduled(timers, 'order_pay', await shop.order({ status: 1 }), { within: '15m' })
    await assertNotScheduled(timers, 'order_pay', order)
    await assertNotScheduled(timers, 'order_other', 'cart-7')
    await timers.schedule('order_other', 'cart-7', { after: '1h' })
    await assertScheduled(timers, 'order_other', 'cart-7', { after: '59m', within: '1h' })
  })

  it('see what a transaction has written', async () => {
    const { timers, database } = shop
    const id = await shop.order({ status: 4 })
    await database.sequelize.transaction(async (transaction) => {
      await timers.schedule('order_confirm', id, { transaction })
      await assertScheduled(timers, 'order_confirm', id, { transaction })
      await assertNotScheduled(timers, 'order_confirm', id)
    })
  })

  it('fail with what is there instead', async () => {
    const { timers } = shop
    const [none, some, paid] = [await shop.order({ status: 4 }), await shop.order({ status: 4 }), await shop.order({ status: 5 })]
    await timers.schedule('order_confirm', some, { after: HOUR_MS })
    assert.equal(
      await failed(assertScheduled(timers, 'order_confirm', none)),
      `assertScheduled: order_confirm: Order "${none}" has no timer; call schedule('order_confirm', …) first`,
    )
    assert.match(await failed(assertScheduled(timers, 'order_confirm', paid)), /has status 5; the rule applies to "4"$/)
    assert.match(
      await failed(assertScheduled(timers, 'order_confirm', some, { after: '2h' })),
      /^order_confirm: Order "\d+" is due in 3\d{6} ms \(.+Z\), expected no sooner than in 2h$/,
    )
    assert.match(await failed(assertScheduled(timers, 'order_confirm', some, { within: '5m' })), /expected no later than in 5m$/)
    assert.match(
      await failed(assertNotScheduled(timers, 'order_confirm', some)),
      /^order_confirm: Order "\d+" has a timer, due in 3\d{6} ms \(.+Z\), expected none$/,
    )
    const misspelt = await refused(() => assertScheduled(timers, 'order_confirm', some, { whitin: '5m' } as never))
    assert.equal(misspelt.code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
  })
})
