import assert from 'node:assert/strict'
import { transition } from '../../lib/index.js'
import { Lines } from '../support/lines.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'
import { heard, openParcels } from './parcels.js'

describe('"dryRun"', () => {
  it('reports once for each order and deadline what would be settled, and writes, runs and delivers nothing', async () => {
    const called: string[] = []
    const call = (name: string) => () => void called.push(name)
    const logger = new Lines()
    const shop = await openParcels(
      (Parcels) => ({
        order_confirm: transition(Parcels, {
          ...{ from: 4, to: 5, deadline: 'dueAt', after: '24h', dryRun: true, history: true, brake: { max: 1, per: '1h' } },
          ...{ backfill: true, pause: { keep: 'leftMs', while: { disputeOpen: true } } },
          run: call('run'),
          afterCommit: call('afterCommit'),
          reminders: [{ before: '1h', run: call('reminder') }],
        }),
      }),
      { logger },
    )
    const [first, second, elsewhere] = [await shop.parcel(-2000), await shop.parcel(-1000), await shop.parcel(-1000, { status: 5 })]
    await shop.parcel(null)
    await shop.parcel(45 * 60_000)
    await shop.parcel(-1000, { disputeOpen: true })
    const rows = async () => shop.sql('SELECT * FROM parcels ORDER BY id')
    const before = await rows()

    const worker = await shop.worker({ fallback: '* * * * * *' })
    const told = heard(worker, 'dryRun', 'settled', 'reminded', 'fault')
    for (let n = 0; n < 3; n++) await waitForEvent(worker, 'swept')
    const lines = logger.of('info').filter((line) => line.includes('dryRun'))
    assert.deepEqual(lines, ['order_confirm: 2 would be settled (dryRun)'])
    assert.equal(told.dryRun.length, 0, 'told before, while the worker started')
    assert.deepEqual(await rows(), before)

    await shop.sql('UPDATE parcels SET "dueAt" = "dueAt" - interval \'1 s\' WHERE id = $1', [second])
    await waitUntil(() => told.dryRun.length)
    const { dueAt } = await shop.find(second)
    assert.deepEqual(
      told.dryRun.map(({ kind, via, orders }) => [kind, via, orders.map(({ id, deadline }) => [id, deadline])]),
      [['order_confirm', 'sweep', [[String(second), dueAt?.getTime()]]]],
    )
    assert.deepEqual([told.settled, told.reminded, told.fault, called], [[], [], [], []])
    assert.deepEqual([await shop.history(), await shop.sql('SELECT * FROM order_timers_brakes')], [[], []])
    assert.deepEqual([(await shop.find(first)).status, (await shop.find(elsewhere)).status], [4, 5])
    await shop.close()
  })
})
