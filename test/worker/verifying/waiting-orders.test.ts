// How health, `status` and the counts of pages and metrics see orders that wait for an answer of `verify`.

import assert from 'node:assert/strict'
import { countOrders } from '../../../lib/admin/order-counts.js'
import { status } from '../../../lib/admin/status.js'
import { statusText } from '../../../lib/cli/status-text.js'
import { orderTimersHealth } from '../../../lib/health.js'
import { transition } from '../../../lib/index.js'
import { cappedCountsSql } from '../../../lib/rows/capped-orders-sql.js'
import { HISTORY_TABLE, VERIFIED_COLUMN } from '../../../lib/rows/history.js'
import type { SweptRows } from '../../../lib/rows/row-rule.js'
import { UNVERIFIED_TABLE, Unverified } from '../../../lib/rows/unverified.js'
import { rows } from '../../../lib/sequelize/database.js'
import { openParcels } from '../../life/parcels.js'
import { runtimeOf } from '../../support/runtime.js'
import { waitUntil } from '../../support/waiting.js'

describe('an order that waits for an answer of "verify"', () => {
  it('is unverified until it is asked about again, and overdue where nobody asks', async () => {
    const verify = { ask: (orders: object[]) => orders.map(() => false) as never }
    const shop = await openParcels((Parcels) => ({
      order_pay: transition(Parcels, { from: 1, to: 0, deadline: 'dueAt', after: '15m', history: true, verify }),
    }))
    for (const sql of Unverified.createSql(UNVERIFIED_TABLE)) await shop.sql(sql)
    await shop.sql(`ALTER TABLE ${HISTORY_TABLE} ADD COLUMN ${VERIFIED_COLUMN} jsonb`)
    const id = await shop.parcel(-600_000, { status: 1 })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(async () => (await shop.sql(`SELECT 1 FROM ${UNVERIFIED_TABLE} WHERE order_id = '${id}'`)).length === 1)
    await worker.stop()

    const runtime = runtimeOf(shop.timers)
    runtime.beats?.onlyLook()
    const row = runtime.rule('order_pay').row as SweptRows
    const capped = async () =>
      (await rows<{ state: string; count: number }>(row.guard.table.sequelize, cappedCountsSql(row, true), [[], []], null)).find(
        ({ count }) => count === 1,
      )?.state
    const counted = async () => {
      const { unverified, overdue } = await countOrders(row, { days: 1 })
      return { unverified, overdue, page: await capped(), ready: (await orderTimersHealth(shop.timers).ready()).checks.overdue?.reading }
    }
    await shop.sql(`UPDATE ${UNVERIFIED_TABLE} SET next = now() + interval '1 minute'`)
    assert.deepEqual(await counted(), { unverified: 1, overdue: 0, page: 'unverified', ready: 'ok' })
    await shop.sql(`UPDATE ${UNVERIFIED_TABLE} SET next = now() - interval '2 minutes'`)
    assert.deepEqual(await counted(), { unverified: 0, overdue: 1, page: 'overdue', ready: 'failing' })
    await shop.close()
  })

  it('is one of more than 10,000 where no more are read: since when the first waits is known all the same', async () => {
    const verify = { ask: (orders: object[]) => orders.map(() => false) as never }
    const shop = await openParcels((Parcels) => ({
      order_pay: transition(Parcels, { from: 1, to: 0, deadline: 'dueAt', after: '15m', history: true, verify }),
    }))
    for (const sql of Unverified.createSql(UNVERIFIED_TABLE)) await shop.sql(sql)
    await shop.sql(`ALTER TABLE ${HISTORY_TABLE} ADD COLUMN ${VERIFIED_COLUMN} jsonb`)
    await shop.sql(`INSERT INTO ${UNVERIFIED_TABLE} (kind, order_id, next, since, falses, row_xmin)
SELECT 'order_pay', i::text, now() + interval '5 minutes' - i * interval '1 ms', now() - interval '2 hours' + i * interval '1 ms', 3, '1' FROM generate_series(1, 10500) AS i`)
    const runtime = runtimeOf(shop.timers)
    runtime.beats?.onlyLook()
    const found = await status(runtime)
    const { count, refused, refusedId, since, next } = found.rules[0]?.unverified ?? {}
    assert.deepEqual([count, refused, refusedId], [10_001, 10_001, '1'])
    const [exact] = await shop.sql(`SELECT min(since) AS since, min(next) AS next FROM ${UNVERIFIED_TABLE}`)
    assert.deepEqual({ since, next }, exact)
    const waiting = found.troubles.find(({ code }) => code === 'VERIFY_WAITING')?.message
    const falses = 'more than 10,000 keep being answered false, such as 1'
    assert.equal(waiting, `order_pay: more than 10,000 orders wait for an answer of "verify", the first for 2 h; ${falses}`)
    assert.match(statusText(found), /^Unverified: order_pay: more than 10,000 wait for an answer/m)
    await shop.close()
  })
})
