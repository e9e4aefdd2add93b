import assert from 'node:assert/strict'
import { ClockEstimate } from '../lib/clock-estimate.js'

/** The server's clock is this much ahead of `performance.now()`; a reading takes `tripMs` and lies in its middle. */
function read(estimate: ClockEstimate, offset: number, tripMs: number, at = performance.now()): void {
  estimate.note(at - tripMs / 2 + offset, at - tripMs, at)
}

const offsetOf = (estimate: ClockEstimate) => (estimate.now() as number) - performance.now()

describe("an estimate of a server's clock", () => {
  it('is unknown before the first reading and after it was forgotten', () => {
    const estimate = new ClockEstimate()
    assert.equal(estimate.now(), undefined)
    read(estimate, 1000, 2)
    assert.ok(Math.abs(offsetOf(estimate) - 1000) < 0.5)
    estimate.forget()
    assert.equal(estimate.now(), undefined)
    read(estimate, 500, 2)
    assert.ok(Math.abs(offsetOf(estimate) - 500) < 0.5)
  })

  it('keeps the reading with the shorter round trip', () => {
    const estimate = new ClockEstimate()
    read(estimate, 1000, 2)
    read(estimate, 1003, 40)
    assert.ok(Math.abs(offsetOf(estimate) - 1000) < 0.5)
    read(estimate, 1000.3, 0.5)
    assert.ok(Math.abs(offsetOf(estimate) - 1000.3) < 0.2)
  })

  it('says how far another clock is ahead or behind at least: what the round trip explains is no difference', () => {
    const estimate = new ClockEstimate()
    assert.equal(estimate.leastAhead(0), undefined)
    const at = performance.now()
    estimate.note(10_000, at - 3_000, at) // the process got no CPU for 3 s
    const leastAhead = (aheadMs: number) => estimate.leastAhead((estimate.now() as number) + aheadMs) as number
    assert.deepEqual(
      [-1_400, 0, 1_400].map((aheadMs) => Math.abs(leastAhead(aheadMs))),
      [0, 0, 0],
    )
    for (const aheadMs of [-60_000, 60_000]) assert.ok(Math.abs(leastAhead(aheadMs) - Math.sign(aheadMs) * 58_500) < 20, String(aheadMs))
  })

  it('says how wrong the reading in use may have been: by half its round trip', () => {
    const estimate = new ClockEstimate()
    assert.equal(estimate.readingError, Number.POSITIVE_INFINITY)
    read(estimate, 1000, 2)
    assert.equal(estimate.readingError, 1)
    read(estimate, 1000, 40)
    assert.equal(estimate.readingError, 1)
    read(estimate, 1000, 0.5)
    assert.equal(estimate.readingError, 0.25)
  })

  it('follows a clock that was set, even by a slow reading', () => {
    const estimate = new ClockEstimate()
    read(estimate, 1000, 2)
    read(estimate, 61_000, 40)
    assert.ok(Math.abs(offsetOf(estimate) - 61_000) < 1)
  })

  it('takes a worse reading once the better one has grown old', () => {
    const estimate = new ClockEstimate()
    const now = performance.now()
    read(estimate, 1000, 2, now - 3_600_000)
    read(estimate, 1004, 20, now)
    assert.ok(Math.abs(offsetOf(estimate) - 1004) < 1)
  })

  it('knows by how much it may be wrong: half the round trip, and more as time passes', () => {
    const estimate = new ClockEstimate()
    assert.equal(estimate.error, Number.POSITIVE_INFINITY)
    const now = performance.now()
    read(estimate, 1000, 20, now - 10_000)
    assert.ok(estimate.error > 10.4 && estimate.error < 10.7, `${estimate.error}`)
    read(estimate, 1000, 2, now)
    assert.ok(estimate.error >= 1 && estimate.error < 1.5, `${estimate.error}`)
  })
})
