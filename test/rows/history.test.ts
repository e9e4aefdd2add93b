import assert from 'node:assert/strict'
import { transition } from '../../lib/index.js'
import type { History } from '../../lib/rows/history.js'
import { inTransaction } from '../../lib/sequelize/database.js'
import { ONE_STATEMENT } from '../../lib/sequelize/statement-limits.js'
import { openParcels } from '../life/parcels.js'
import { runtimeOf } from '../support/runtime.js'

describe('The history', () => {
  it('is not told by a process that is late of a failure: not while another one delivers, and not once that has succeeded', async () => {
    const shop = await openParcels((Parcels) => ({
      order_confirm: transition(Parcels, { from: 4, to: 5, deadline: 'dueAt', after: '24h', history: true, afterCommit: () => {} }),
    }))
    const history = runtimeOf(shop.timers).rule('order_confirm').row?.history as History
    const stored = async () => (await shop.sql('SELECT attempts, error, next_try > now() AS "isTaken" FROM order_timers_history'))[0]
    const [{ id: entry }] = (await shop.sql(`INSERT INTO order_timers_history (kind, order_id, via, worker, attempts, next_try)
VALUES ('order_confirm', '34', 'alarm', 'w', 1, now() - interval '1 s') RETURNING id::text AS id`)) as [{ id: string }]
    const taken = await inTransaction(shop.database.sequelize, ONE_STATEMENT, (transaction) => history.takePendingDelivery(transaction))
    assert.deepEqual([taken?.entry, taken?.attempts], [entry, 2])
    await history.markFailed([entry], 'no answer', 0, 1)
    assert.deepEqual(await stored(), { attempts: 2, error: null, isTaken: true })
    await history.markDelivered([entry])
    await history.markFailed([entry], 'no answer', 0, 2)
    assert.deepEqual(await stored(), { attempts: 2, error: null, isTaken: null })
    await shop.close()
  })
})
