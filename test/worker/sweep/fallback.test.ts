import assert from 'node:assert/strict'
import { parseFallback } from '../../../lib/worker/sweep/fallback.js'

describe('the option "fallback"', () => {
  it('refuses an expression that names no day that ever comes', () => {
    assert.throws(() => parseFallback('0 0 1 1 1#2'), { code: 'ERR_ORDER_TIMERS_INVALID_OPTION' })
  }).timeout(10_000)
})
