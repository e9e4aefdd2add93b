import assert from 'node:assert/strict'
import { Moment } from '../../../lib/moment.js'
import type { BoundRule } from '../../../lib/rules/rule.js'
import { MemoryClaims } from '../../../lib/worker/settling/memory-claims.js'

const RULE = { kind: 'order_confirm' } as BoundRule
const FAILURE = { attempts: 1, error: 'no stock', at: new Date(0).toISOString(), dead: false }

describe('a claim in memory', () => {
  it('is held until it ends, and then its orders can be claimed again', async () => {
    const claims = new MemoryClaims()
    const first = claims.overdue(RULE, ['1', '2'], new Moment())
    assert.deepEqual(claims.overdue(RULE, ['1', '2', '3'], new Moment()).ids, ['3'])
    assert.deepEqual(claims.overdue({ ...RULE, kind: 'order_pay' }, ['1'], new Moment()).ids, ['1'])
    await first.finish([{ id: '1', delayMs: 250 }])
    assert.deepEqual(claims.overdue(RULE, ['1', '2'], new Moment()).ids, ['1', '2'])
  })

  it('is not made of an order that waits for its next attempt, nor of a dead letter', async () => {
    const claims = new MemoryClaims()
    await claims.overdue(RULE, ['1', '2', '3'], new Moment()).finish([
      { id: '1', delayMs: 60_000, failure: FAILURE },
      { id: '2', failure: { ...FAILURE, dead: true } },
      { id: '3', delayMs: 0, failure: FAILURE },
    ])
    const again = claims.overdue(RULE, ['1', '2', '3'], new Moment())
    assert.deepEqual(again.ids, ['3'])
    assert.deepEqual(await again.failures(['3', '4']), new Map([['3', FAILURE]]))
  })
})
