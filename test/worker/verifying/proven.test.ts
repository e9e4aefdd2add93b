import assert from 'node:assert/strict'
import { Proven } from '../../../lib/worker/verifying/proven.js'
import { shiftClock } from '../../support/shifted-clock.js'

describe('the answer true of "verify"', () => {
  afterEach(() => shiftClock(0))

  it('serves further attempts on the row as it was, and not after the machine was suspended', () => {
    const proof = { xmin: '7', at: new Date().toISOString(), answer: true as const }
    const proven = new Proven()
    proven.add('1', proof)
    assert.equal(proven.of('1', '7'), proof)
    shiftClock(11_000) // performance.now() stands still meanwhile
    assert.equal(proven.of('1', '7'), undefined)
    proven.add('1', proof)
    assert.equal(proven.of('1', '8'), undefined)
  })
})
