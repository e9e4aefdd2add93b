import assert from 'node:assert/strict'
import { retryAfterMs } from '../../../lib/worker/verifying/asking.js'

describe('the "retryAfter" of an error of the payment service', () => {
  it('counts as not given where it cannot be read as a number', () => {
    const throwing = {
      get retryAfter() {
        throw new Error('no')
      },
    }
    for (const error of [throwing, { retryAfter: Object.create(null) }, { retryAfter: Symbol('soon') }, { retryAfter: 'soon' }, undefined])
      assert.equal(retryAfterMs(error), undefined)
    assert.deepEqual([retryAfterMs({ retryAfter: 2 }), retryAfterMs({ retryAfter: '5m' })], [2_000, 300_000])
  })
})
