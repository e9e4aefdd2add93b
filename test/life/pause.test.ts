import assert from 'node:assert/strict'
import { DataTypes, Model } from 'sequelize'
import { type Rule, transition } from '../../lib/index.js'
import { armed, flush, NOT_ARMED } from '../support/armed.js'
import { refusal, refused } from '../support/refused.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'
import { EVERY_SECOND, openParcels, type Parcel, type ParcelShop } from './parcels.js'

const CONFIRM = { from: 4, to: 5, deadline: 'dueAt', after: '24h' } as const
const HOUR_MS = 3_600_000

type ConfirmShop = ParcelShop<{ order_confirm: Rule<'deadline', Parcel> }>

const near = (actual: unknown, expected: number, byMs = 5000) =>
  assert.ok(Math.abs(Number(actual) - expected) < byMs, `${actual} is not about ${expected}`)

describe('pause and resume', () => {
  let shop: ConfirmShop

  beforeEach(async () => {
    shop = await openParcels((Parcels) => ({ order_confirm: transition(Parcels, { ...CONFIRM, pause: { keep: 'leftMs' } }) }))
  })

  afterEach(() => shop.close())

  it('keep the time that remains and continue with it; each twice is harmless', async () => {
    const { timers } = shop
    const parcel = await shop.find(await shop.parcel())
    const { deadline } = await timers.schedule('order_confirm', parcel, { after: '2h' })
    const paused = { kind: 'order_confirm', id: String(parcel.id), deadline: null, armed: false }
    assert.deepEqual(await timers.pause('order_confirm', parcel), paused)
    const row = await shop.find(parcel.id)
    assert.equal(row.dueAt, null)
    near(row.leftMs, 2 * HOUR_MS)
    assert.deepEqual([parcel.dueAt, parcel.leftMs], [row.dueAt, row.leftMs], 'the instance is refreshed')
    assert.deepEqual(await armed(shop.redis, 'order_confirm', parcel.id), NOT_ARMED)
    assert.deepEqual(await timers.pause('order_confirm', parcel.id), paused)
    assert.equal((await shop.find(parcel.id)).leftMs, row.leftMs)
    assert.equal(await timers.remaining('order_confirm', parcel), null)
    assert.deepEqual(await timers.list(parcel), [])

    await shop.sql('UPDATE parcels SET left_ms = left_ms - 3600000')
    const resumed = await timers.resume('order_confirm', parcel)
    near(resumed.deadline, (deadline as Date).getTime() - HOUR_MS)
    assert.equal(resumed.armed, true)
    const running = await shop.find(parcel.id)
    assert.deepEqual([running.dueAt, running.leftMs], [resumed.deadline, null])
    assert.deepEqual([parcel.dueAt, parcel.leftMs], [resumed.deadline, null])
    assert.deepEqual(await timers.resume('order_confirm', parcel.id), resumed)
    assert.equal((await armed(shop.redis, 'order_confirm', parcel.id)).due, resumed.deadline?.getTime())
  })

  it('survive the restart of a worker and the loss of all data in Redis', async () => {
    const id = await shop.parcel()
    const first = await shop.worker(EVERY_SECOND)
    await shop.timers.schedule('order_confirm', id, { after: 1_000 })
    await shop.timers.pause('order_confirm', id)
    const left = Number((await shop.find(id)).leftMs)
    assert.ok(left > 0 && left <= 1_000, String(left))
    await flush(shop.redis)
    await first.stop()
    const second = await shop.worker(EVERY_SECOND)
    await waitForEvent(second, 'swept')
    assert.equal((await shop.find(id)).status, 4)
    const { deadline } = await shop.timers.resume('order_confirm', id)
    await flush(shop.redis)
    await waitUntil(() => second.settled.length)
    assert.equal(second.settled[0]?.deadline, deadline?.getTime())
    assert.deepEqual(first.settled, [])
  })

  it('leave nothing behind after cancel and schedule, which remove a paused timer or start it again', async () => {
    const { timers } = shop
    const [cancelled, scheduled] = [await shop.parcel(HOUR_MS), await shop.parcel(HOUR_MS)]
    for (const id of [cancelled, scheduled]) await timers.pause('order_confirm', id)
    await timers.cancel('order_confirm', cancelled)
    const message = `orderTimers: order_confirm: Parcel "${cancelled}" has no deadline to resume; call schedule('order_confirm', …) first`
    assert.deepEqual(await refused(() => timers.resume('order_confirm', cancelled)), refusal('NO_TIMER', 409, message))
    const { deadline } = await timers.schedule('order_confirm', scheduled, { after: '3h' })
    const rows = await Promise.all([cancelled, scheduled].map(shop.find))
    assert.deepEqual(
      rows.map(({ dueAt, leftMs }) => [dueAt, leftMs]),
      [
        [null, null],
        [deadline, null],
      ],
    )
  })

  it("are part of the shop's transaction, and undone with it", async () => {
    const { timers } = shop
    const { sequelize } = shop.database
    const id = await shop.parcel()
    const { deadline } = await timers.schedule('order_confirm', id)
    const before = (await shop.find(id)).get()
    for (const call of ['pause', 'resume'] as const) {
      if (call === 'resume') await timers.pause('order_confirm', id)
      const row = call === 'pause' ? before : (await shop.find(id)).get()
      const armedBefore = await armed(shop.redis, 'order_confirm', id)
      await assert.rejects(
        sequelize.transaction(async (transaction) => {
          await timers[call]('order_confirm', id, { transaction })
          throw new Error('the dispute is void')
        }),
        /the dispute is void/,
      )
      assert.deepEqual((await shop.find(id)).get(), row)
      assert.deepEqual(await armed(shop.redis, 'order_confirm', id), armedBefore)
    }
    const resumed = await sequelize.transaction((transaction) => timers.resume('order_confirm', id, { transaction }))
    assert.equal(resumed.armed, 'on commit')
    near(resumed.deadline, (deadline as Date).getTime())
    assert.equal((await armed(shop.redis, 'order_confirm', id)).due, resumed.deadline?.getTime())
  })

  it('refuse what has no timer, what is paused to be extended, and what has left "from"', async () => {
    const { timers } = shop
    const id = await shop.parcel()
    const noTimer = (message: string) => refusal('NO_TIMER', 409, `orderTimers: order_confirm: Parcel "${id}" ${message}`)
    const schedule = "call schedule('order_confirm', …) first"
    assert.deepEqual(await refused(() => timers.pause('order_confirm', id)), noTimer(`has no deadline to pause; ${schedule}`))
    assert.deepEqual(await refused(() => timers.resume('order_confirm', id)), noTimer(`has no deadline to resume; ${schedule}`))
    await timers.schedule('order_confirm', id)
    await timers.pause('order_confirm', id)
    const resume = "call resume('order_confirm', …) first"
    const expected = noTimer(`is paused, and has no deadline to extend; ${resume}`)
    assert.deepEqual(await refused(() => timers.extend('order_confirm', id, '1h')), expected)
    await shop.Parcel.update({ status: 5 }, { where: { id } })
    const left = `orderTimers: order_confirm: Parcel "${id}" has status 5; the rule applies to "4"`
    for (const call of ['pause', 'resume'] as const)
      assert.deepEqual(await refused(() => timers[call]('order_confirm', id)), refusal('ORDER_NOT_IN_FROM', 409, left))
    const missing = refusal('ORDER_NOT_FOUND', 404, 'orderTimers: order_confirm: there is no Parcel "77"')
    assert.deepEqual(await refused(() => timers.pause('order_confirm', 77)), missing)
  })
})

describe('pause', () => {
  it('keeps the time in an INTEGER too, and says so where that is too small', async () => {
    class Small extends Model {}
    const shop = await openParcels((_, sequelize) => {
      const columns = { status: DataTypes.INTEGER, dueAt: DataTypes.DATE, left: DataTypes.INTEGER }
      Small.init(columns, { sequelize, modelName: 'Small', tableName: 'smalls', timestamps: false })
      return { order_confirm: transition(Small, { ...CONFIRM, deadline: 'dueAt' as never, pause: { keep: 'left' as never } }) }
    })
    await Small.sync()
    const small = await Small.create({ status: 4 })
    await shop.timers.schedule('order_confirm', small)
    await shop.timers.pause('order_confirm', small)
    near(small.get('left'), 24 * HOUR_MS)
    near((await shop.timers.resume('order_confirm', small)).deadline, Date.now() + 24 * HOUR_MS)
    await shop.timers.schedule('order_confirm', small, { after: '30d' })
    const message = `orderTimers: order_confirm: "left" of Small "1" cannot hold so many milliseconds; ALTER TABLE "smalls" ALTER COLUMN "left" TYPE bigint`
    assert.deepEqual(await refused(() => shop.timers.pause('order_confirm', small)), refusal('INVALID_MODEL', 500, message))
    await shop.close()
  })

  it('is refused for rules that have none, and for those that the row itself pauses', async () => {
    const shop = await openParcels((Parcels) => ({
      plain: transition(Parcels, { from: 4, to: 5, deadline: 'dueAt' }),
      by_row: transition(Parcels, { from: 4, to: 5, deadline: 'placedAt', pause: { keep: 'leftMs', while: { disputeOpen: true } } }),
      order_pay: transition(Parcels, { from: 1, to: 0, since: 'placedAt', after: '15m' }),
    }))
    const id = await shop.parcel(HOUR_MS)
    for (const call of ['pause', 'resume'] as const) {
      const why = (kind: string, text: string) =>
        refusal('NOT_PAUSABLE', 400, `orderTimers: ${kind}: ${call}() is not for this rule, since ${text}`)
      const declare = `it has no "pause"; declare the rule with "deadline" and pause: { keep: 'attribute' }`
      assert.deepEqual(await refused(() => shop.timers[call]('plain', id)), why('plain', declare))
      const byRow = 'its "pause.while" says by itself when it is paused; change what the row says'
      assert.deepEqual(await refused(() => shop.timers[call]('by_row', id)), why('by_row', byRow))
      const since = `orderTimers: order_pay: ${call}() is not for a rule with "since" ("placedAt"); its deadline follows from the row; declare it with "deadline" for orders with a deadline of their own`
      assert.deepEqual(await refused(() => shop.timers[call]('order_pay' as never, id)), refusal('NOT_ON_SINCE', 400, since))
    }
    await shop.close()
  })
})

describe('a pause by declaration', () => {
  let shop: ConfirmShop

  beforeEach(async () => {
    shop = await openParcels((Parcels) => ({
      order_confirm: transition(Parcels, { ...CONFIRM, pause: { keep: 'leftMs', while: { disputeOpen: true } } }),
    }))
  })

  afterEach(() => shop.close())

  it('counts from the moment that raw SQL opens a dispute, although the order is due; the sweep stores the time that remains, and restarts the timer afterwards', async () => {
    const [id, other] = [await shop.parcel(), await shop.parcel()]
    for (const one of [id, other]) await shop.timers.schedule('order_confirm', one, { after: 300 })
    await shop.sql('UPDATE parcels SET dispute_open = true WHERE id = $1', [id])
    assert.equal(await shop.timers.remaining('order_confirm', id), null)
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.settled.length)
    assert.deepEqual(
      worker.settled.map((order) => order.id),
      [String(other)],
    )
    assert.equal((await shop.find(id)).status, 4)
    await worker.stop()
    await shop.worker()
    const { dueAt, leftMs, status } = await shop.find(id)
    assert.deepEqual([dueAt, status], [null, 4])
    assert.ok(leftMs !== null && Number(leftMs) <= 300, String(leftMs))

    const next = await shop.worker(EVERY_SECOND)
    await waitForEvent(next, 'swept')
    assert.equal((await shop.find(id)).status, 4)
    await shop.sql('UPDATE parcels SET dispute_open = false WHERE id = $1', [id])
    await waitUntil(async () => (await shop.find(id)).status === 5)
    const settled = await shop.find(id)
    assert.deepEqual([settled.dueAt, settled.leftMs], [null, null])
  })

  it('keeps the whole of a long time, and arms what runs again', async () => {
    const id = await shop.parcel(2 * HOUR_MS, { disputeOpen: true })
    const worker = await shop.worker(EVERY_SECOND)
    const { leftMs } = await shop.find(id)
    near(leftMs, 2 * HOUR_MS)
    await shop.sql('UPDATE parcels SET dispute_open = NULL, left_ms = 8000 WHERE id = $1', [id])
    await waitUntil(async () => (await armed(shop.redis, 'order_confirm', id)).due)
    const { dueAt } = await shop.find(id)
    near(dueAt, Date.now() + 8_000)
    assert.equal((await armed(shop.redis, 'order_confirm', id)).due, dueAt?.getTime())
    assert.deepEqual(worker.faultsTold, [])
  })

  it('whose condition is NULL does not hold', async () => {
    const id = await shop.parcel(-1000, { disputeOpen: null })
    await shop.worker()
    assert.equal((await shop.find(id)).status, 5)
  })

  it('is named if an order cannot be extended because of it', async () => {
    const id = await shop.parcel(HOUR_MS, { disputeOpen: true })
    await shop.worker()
    const why = 'is paused, and has no deadline to extend; it runs again when "pause.while" holds no longer'
    const expected = refusal('NO_TIMER', 409, `orderTimers: order_confirm: Parcel "${id}" ${why}`)
    assert.deepEqual(await refused(() => shop.timers.extend('order_confirm', id, '1h')), expected)
    assert.deepEqual(await shop.timers.list(id), [])
  })

  it('stores no time of what is stale: it is held, and reported when it is free, as any other', async () => {
    const [plain, disputed] = [await shop.parcel(-30 * 24 * HOUR_MS), await shop.parcel(-30 * 24 * HOUR_MS, { disputeOpen: true })]
    const worker = await shop.worker(EVERY_SECOND)
    await shop.sql('UPDATE parcels SET dispute_open = false')
    await waitUntil(() => worker.staleTold.at(-1)?.count === 2)
    await waitForEvent(worker, 'swept')
    const rows = [await shop.find(plain), await shop.find(disputed)]
    assert.deepEqual(
      rows.map(({ status, leftMs }) => [status, leftMs]),
      [
        [4, null],
        [4, null],
      ],
    )
  })
})
