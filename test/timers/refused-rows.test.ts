// What Postgres shows of a row that it refuses gets into no error of ours, neither of a call nor of a settlement.

import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { transition } from '../../lib/index.js'
import type { Database } from '../support/database.js'
import { openShop } from '../support/shop.js'
import { waitForEvent } from '../support/waiting.js'

const SECRET = 'eve@example.com'

describe('A row that a constraint refuses', () => {
  it('is not shown by the error of a call, nor to the listeners of a worker', async () => {
    const shop = await openShop(({ Order }: Pick<Database, 'Order'>) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }),
    }))
    const { client } = shop.database
    const order = await shop.order({ status: 4, note: SECRET })
    await client.query(`ALTER TABLE orders ADD CONSTRAINT never_due CHECK (note <> '${SECRET}' OR "confirmDueAt" < '2020-01-01')`)
    const thrown = await shop.timers.schedule('order_confirm', order).then(
      () => assert.fail('it was not refused'),
      (error: unknown) => error as Error,
    )
    assert.match(thrown.message, /never_due/)
    assert.doesNotMatch(inspect(thrown, { depth: 9, showHidden: true }), /eve@|UPDATE/)

    await client.query(`ALTER TABLE orders DROP CONSTRAINT never_due, ADD CONSTRAINT stays CHECK (note <> '${SECRET}' OR status = 4)`)
    const worker = await shop.worker()
    const failed = waitForEvent<[{ error: Error }]>(worker, 'failed')
    await shop.timers.schedule('order_confirm', order, { after: 20 })
    const [{ error }] = await failed
    assert.match(error.message, /stays/)
    assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /eve@|UPDATE/)
    await shop.close()
  })
})
