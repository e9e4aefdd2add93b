// The doctor against faults of processes, one at a time; and a healthy shop, of which it says that all is fine.

import assert from 'node:assert/strict'
import { testFault } from './fault.js'
import { PROCESS_FAULTS } from './process-faults.js'
import { confirming, Stage } from './staging.js'

describe('The doctor', function () {
  this.timeout(60_000)

  it('says of a healthy shop that all is fine', async () => {
    const stage = await Stage.open()
    await stage.worker(stage.other(confirming(stage.database)))
    await stage.shop.order()
    await stage.shop.timers.schedule('order_confirm', await stage.shop.order({ status: 4 }), { after: '50s' })
    const findings = await stage.ask()
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict !== 'fine'),
      [],
    )
    assert.ok(findings.length > 30)
    await stage.close()
  })

  it('finds the index on the deadline also where an index on the status is cheaper for now, and tells where there is none', async () => {
    const stage = await Stage.open()
    const { client } = stage.database
    await client.query(`INSERT INTO orders (status, "createdAt", "updatedAt") SELECT 5, now(), now() FROM generate_series(1, 5000)`)
    await client.query('ANALYZE orders')
    const asked = async () => (await stage.ask()).filter(({ name, kind }) => name === 'sweep.index' && kind === 'order_confirm')
    assert.deepEqual(
      (await asked()).map(({ verdict, found }) => [verdict, found]),
      [['fine', 'there is one on confirmDueAt']],
    )
    await client.query('DROP INDEX "orders_confirmDueAt_due"')
    assert.deepEqual(
      (await asked()).map(({ verdict, found }) => [verdict, found]),
      [['wrong', 'none on confirmDueAt; the sweep reads all orders that another index finds in "orders"']],
    )
    await stage.close()
  })

  for (const fault of PROCESS_FAULTS) it(`names, and its remedy ends: ${fault.what}`, () => testFault(fault))
})
