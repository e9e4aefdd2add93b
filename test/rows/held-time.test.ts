import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type HeldSpan, heldMs } from '../../lib/rows/held-time.js'

/** Minute by minute: back from now until so many minutes were free. */
function byCounting(spans: readonly HeldSpan[], staleAfterMs: number): number {
  let [free, held] = [0, 0]
  for (let ago = 0; free < staleAfterMs; ago += 1) {
    if (spans.some(({ beganMsAgo, endedMsAgo }) => ago >= endedMsAgo && ago < beganMsAgo)) held += 1
    else free += 1
  }
  return held
}

describe('the time in which a kind was held', () => {
  it('is what was held until "staleAfter" of other time has passed, however holds overlap', () => {
    const span = fc
      .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 30 }))
      .map(([endedMsAgo, length]) => ({ endedMsAgo, beganMsAgo: endedMsAgo + length }))
    fc.assert(
      fc.property(fc.array(span, { maxLength: 6 }), fc.integer({ min: 1, max: 50 }), (spans, staleAfterMs) => {
        const sorted = [...spans].sort((a, b) => a.endedMsAgo - b.endedMsAgo)
        assert.equal(heldMs(sorted, staleAfterMs), byCounting(sorted, staleAfterMs))
      }),
    )
  })

  it('is nothing without a hold', () => assert.equal(heldMs([], 1_000), 0))
})
