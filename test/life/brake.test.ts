import assert from 'node:assert/strict'
import { startExpiryWorker, transition } from '../../lib/index.js'
import type { Brake } from '../../lib/rows/brake.js'
import { inTransaction } from '../../lib/sequelize/database.js'
import { ONE_STATEMENT } from '../../lib/sequelize/statement-limits.js'
import { refusal, refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, watched } from '../support/shop.js'
import { holdsFor, waitForEvent, waitUntil } from '../support/waiting.js'
import { defineParcel, EVERY_SECOND, heard, openParcels, type ParcelShop, type Parcels } from './parcels.js'

const CONFIRM = { from: 4, to: 5, deadline: 'dueAt', after: '24h' } as const
const STOPPED = (max: number, per: string) =>
  `order_confirm: stopped, since it would settle more than ${max} orders within ${per}; look at what it settles, then release it (order-timers release order_confirm)`

const rulesOf = (Parcel: Parcels, brake: object, more: object = {}) => ({
  order_confirm: transition(Parcel, { ...CONFIRM, brake, ...more } as never),
  order_pay: transition(Parcel, { from: 1, to: 0, since: 'placedAt', after: '15m' }),
})

describe('"brake"', () => {
  let shop: ParcelShop<ReturnType<typeof rulesOf>>

  afterEach(() => shop.close())

  const open = async (brake: object, more: object = {}) => {
    shop = await openParcels((Parcels) => rulesOf(Parcels, brake, more))
  }
  const overdue = (count: number) => shop.Parcel.bulkCreate(Array.from({ length: count }, () => ({ dueAt: new Date(Date.now() - 1000) })))
  const settled = async () => (await shop.sql('SELECT count(*)::int AS count FROM parcels WHERE status = 5'))[0]?.count
  const swept = async (worker: Parameters<typeof waitForEvent>[0], times = 2) => {
    for (let n = 0; n < times; n++) await waitForEvent(worker, 'swept')
  }

  it('lets as many more orders pass as a release may expect', async () => {
    await open({ max: 7, per: '1h' })
    const brake = runtimeOf(shop.timers).rule('order_confirm').row?.brake as Brake
    await inTransaction(shop.database.sequelize, ONE_STATEMENT, (transaction) => brake.expect(2_147_483_647, transaction))
    assert.equal(await brake.remaining(), 2_147_483_654)
  })

  it('stops the rule at "max" exactly, loudly, and the others go on; released, the next sweep settles the rest', async () => {
    await open({ max: 7, per: '1h' })
    await overdue(12)
    const unpaid = await shop.parcel(null, { status: 1, placedAt: new Date(Date.now() - 3_600_000) })
    const worker = await shop.worker(EVERY_SECOND)
    const told = heard(worker, 'fault', 'recovered')
    assert.equal(await settled(), 7)
    assert.equal((await shop.find(unpaid)).status, 0)
    assert.equal(worker.health().status, 'degraded')
    assert.deepEqual(
      worker.health().faults.map(({ code, message }) => ({ code, message })),
      [{ code: 'BRAKED', message: STOPPED(7, '1h') }],
    )
    assert.deepEqual(
      worker.faultsTold.map(({ code }) => code),
      ['BRAKED'],
    )
    await swept(worker)
    const id = await shop.parcel()
    await shop.timers.schedule('order_confirm', id, { after: 20 })
    await waitUntil(() => (worker.health().kinds.order_confirm?.held as number) >= 6)
    await swept(worker)
    assert.equal(await settled(), 7)
    assert.deepEqual([told.fault, told.recovered], [[], []], 'said once')

    await overdue(1)
    assert.equal(await shop.timers.release('order_confirm'), true)
    await waitUntil(async () => (await settled()) === 14)
    await waitUntil(() => told.recovered.length || told.fault.length)
    assert.equal(await settled(), 14)
  })

  it('is not over because orders that are read meanwhile are gone', async () => {
    await open({ max: 1, per: '1h' })
    await overdue(2)
    const worker = await shop.worker({ fallback: false })
    const told = heard(worker, 'recovered')
    assert.equal(worker.health().faults[0]?.code, 'BRAKED')
    await shop.redis.client.set(shop.key('order_confirm:999'), '1', 'PX', 20)
    await waitUntil(() => worker.health().kinds.order_confirm?.gone)
    assert.deepEqual([worker.health().faults.length, told.recovered], [1, []])
  })

  it('is kept in Postgres: a worker that is started later says so and settles nothing', async () => {
    await open({ max: 2, per: '1h' })
    await overdue(5)
    await (await shop.worker({ fallback: false })).stop()
    const next = await shop.worker(EVERY_SECOND)
    await swept(next)
    assert.equal(await settled(), 2)
    assert.deepEqual(
      next.health().faults.map(({ code, message }) => ({ code, message })),
      [{ code: 'BRAKED', message: STOPPED(2, '1h') }],
    )
  })

  it('is not over when its period ends, also for timers that come due then', async () => {
    await open({ max: 2, per: '1s' })
    await overdue(3)
    const worker = await shop.worker({ fallback: false })
    assert.equal(await settled(), 2)
    await waitUntil(async () => (await shop.sql("SELECT now() > since + interval '1 s' AS over FROM order_timers_brakes"))[0]?.over)
    await shop.timers.schedule('order_confirm', await shop.parcel(), { after: 20 })
    await waitUntil(() => (worker.health().kinds.order_confirm?.held as number) >= 2)
    assert.equal(await settled(), 2)
  })

  it('lets so many pass in each span of time', async () => {
    await open({ max: 3, per: 1500 })
    const worker = await shop.worker(EVERY_SECOND)
    for (const total of [3, 6]) {
      await overdue(3)
      await waitUntil(async () => (await settled()) === total)
      await waitUntil(async () => (await shop.sql("SELECT now() > since + interval '1.5 s' AS over FROM order_timers_brakes"))[0]?.over)
    }
    assert.deepEqual(worker.faultsTold, [])
  })

  it('counts for all workers together, and neither delays one for long nor reports a fault because of another', async () => {
    await open({ max: 300, per: '1h' }, { run: () => new Promise((resolve) => setTimeout(resolve, 400)) })
    const { sequelize } = shop.database.connectSequelize()
    const others = makeTimers(rulesOf(defineParcel(sequelize), { max: 300, per: '1h' }, { run: () => {} }), {
      redis: shop.redis.url,
      prefix: shop.redis.prefix,
    })
    await overdue(450)
    const workers = [watched(startExpiryWorker(others, EVERY_SECOND)), await shop.worker(EVERY_SECOND)]
    await waitUntil(async () => (await settled()) === 300, { within: 10_000 })
    await holdsFor(1500, async () => (await settled()) === 300, { every: 100 })
    await waitUntil(() => workers.every((worker) => worker.health().faults.length > 0))
    for (const worker of workers)
      assert.deepEqual(
        worker.faultsTold.map(({ code }) => code),
        ['BRAKED'],
      )
    await workers[0]?.stop()
    await others.close()
  })

  it('is released by name; a rule that is not stopped, or has none, stays unchanged', async () => {
    await open({ max: 5, per: '1h' })
    assert.equal(await shop.timers.release('order_confirm'), false)
    assert.equal(await shop.timers.release('order_pay'), false)
    const message = 'orderTimers: there is no rule "order_cofirm"; the rules are "order_confirm", "order_pay"'
    assert.deepEqual(await refused(() => shop.timers.release('order_cofirm' as never)), refusal('UNKNOWN_KIND', 400, message))
  })

  it('keeps what it holds of a rule whose deadlines are only in Redis', async () => {
    await open({ max: 2, per: '1s' }, { deadline: false })
    for (let n = 0; n < 5; n++) await shop.timers.schedule('order_confirm', await shop.parcel(), { after: 50 })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(() => worker.health().faults.some(({ code }) => code === 'BRAKED'))
    await waitUntil(() => (worker.health().kinds.order_confirm?.held as number) >= 3)
    assert.equal(await settled(), 2)
    for (const count of [4, 5]) {
      await shop.timers.release('order_confirm')
      await waitUntil(async () => (await settled()) === count)
    }
  })
})
