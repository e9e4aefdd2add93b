import assert from 'node:assert/strict'
import { transition } from '../../../lib/index.js'
import { BRAKE_TABLE, Brake } from '../../../lib/rows/brake.js'
import { HOLDS_TABLE, Holds } from '../../../lib/rows/holds.js'
import { openShop } from '../../support/shop.js'

describe('a rule that is held and whose brake has stopped it', () => {
  it('is no longer reported as stopped once the brake is released, although the hold stands', async () => {
    const shop = await openShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', brake: { max: 1, per: '1h' } }),
    }))
    const { client } = shop.database
    for (const sql of [...Brake.createSql(BRAKE_TABLE), ...Holds.createSql(HOLDS_TABLE)]) await client.query(sql)
    await client.query(`INSERT INTO ${BRAKE_TABLE} (kind, braked_at) VALUES ('order_confirm', now())`)
    const worker = await shop.worker({ fallback: false })
    const codes = () => worker.health().faults.map(({ code }) => code)
    assert.deepEqual(codes(), ['BRAKED'])
    await shop.timers.hold('order_confirm', { reason: 'a look' })
    await shop.timers.release('order_confirm', { what: 'brake' })
    await worker.sweepNow()
    assert.deepEqual(codes(), [])
    await shop.close()
  })
})
