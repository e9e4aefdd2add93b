// Deadlines that Postgres has and JavaScript's Dates have not: such an order has no timer, by every path, and keeps no other order back.

import assert from 'node:assert/strict'
import { listOrders } from '../../lib/admin/order-list.js'
import { planRule } from '../../lib/admin/plan.js'
import { transition } from '../../lib/index.js'
import { openParcels, type ParcelShop, type Parcels } from '../life/parcels.js'
import { refused } from '../support/refused.js'
import { runtimeOf } from '../support/runtime.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'

const BEYOND = ['infinity', '-infinity', '4713-01-01 BC', '10000-01-01', '294276-12-31']
const HOUR_MS = 3_600_000

const rulesOf = (Parcel: Parcels) => ({
  order_confirm: transition(Parcel, {
    ...{ from: 4, to: 5, deadline: 'dueAt', after: '24h', maxExtensions: 3, extended: 'extended' },
    pause: { keep: 'leftMs', while: { disputeOpen: true } },
  }),
  order_pay: transition(Parcel, { from: 1, to: 0, since: 'placedAt', after: '15m' }),
})

for (const instant of BEYOND)
  describe(`A deadline of ${instant}`, () => {
    let shop: ParcelShop<ReturnType<typeof rulesOf>>
    let id: number
    let unpaid: number

    beforeEach(async () => {
      shop = await openParcels(rulesOf)
      id = await shop.parcel(HOUR_MS, { disputeOpen: false })
      unpaid = await shop.parcel(null, { status: 1 })
      await shop.sql('UPDATE parcels SET "dueAt" = $1 WHERE id = $2', [instant, id])
      await shop.sql('UPDATE parcels SET "placedAt" = $1 WHERE id = $2', [instant, unpaid])
    })

    afterEach(() => shop.close())

    it('is no timer to any call, and schedule gives one', async () => {
      const { timers } = shop
      assert.deepEqual([await timers.remaining('order_confirm', id), await timers.remaining('order_pay', unpaid)], [null, null])
      assert.deepEqual([await timers.list(id), await timers.list(unpaid)], [[], []])
      assert.equal((await refused(() => timers.extend('order_confirm', id, '1h'))).code, 'ERR_ORDER_TIMERS_NO_TIMER')
      assert.equal((await timers.extendAll('order_confirm', { all: true, by: '1h', dryRun: true })).plan?.count, 0)
      const { deadline } = await timers.schedule('order_confirm', id)
      assert.equal((await shop.find(id)).dueAt?.getTime(), deadline?.getTime())
    })

    it('settles nothing, fails nothing, and keeps no other order from being paused or settled', async () => {
      const disputed = await shop.parcel(HOUR_MS, { disputeOpen: true })
      await shop.sql('UPDATE parcels SET dispute_open = TRUE WHERE id = $1', [id])
      const worker = await shop.worker({ fallback: '* * * * * *' })
      const due = await shop.parcel(-1_000, { disputeOpen: false })
      for (const key of [`order_confirm:${id}`, `order_pay:${unpaid}`]) await shop.redis.client.set(shop.key(key), '1', 'PX', 20)
      await waitUntil(async () => (await shop.find(due)).status === 5 && (await shop.find(disputed)).leftMs !== null)
      await waitForEvent(worker, 'swept')
      assert.deepEqual([(await shop.find(id)).status, (await shop.find(unpaid)).status], [4, 1])
      const { order_confirm, order_pay } = worker.health().kinds
      assert.deepEqual([order_confirm?.failed, order_pay?.failed, worker.health().faults, worker.deadTold], [0, 0, [], []])
    })

    it('is counted as none, and no list shows it', async () => {
      const runtime = runtimeOf(shop.timers)
      for (const kind of ['order_confirm', 'order_pay']) {
        const { census } = await planRule(runtime, kind, { days: 1, asBackfilled: false })
        assert.deepEqual([census?.undated, census?.stale, census?.overdue, census?.later], [1, 0, 0, 0])
        for (const state of ['pending', 'overdue', 'stale'] as const)
          assert.deepEqual((await listOrders(runtime, kind, { state, limit: 10, after: undefined })).orders, [])
      }
    })
  })
