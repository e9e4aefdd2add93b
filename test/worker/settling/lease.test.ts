// A claim's lease as its process knows it: held until so long after Redis last said so, whatever the process's clocks do meanwhile.

import assert from 'node:assert/strict'
import { Moment } from '../../../lib/moment.js'
import { Lease } from '../../../lib/worker/settling/lease.js'
import { shiftClock } from '../../support/shifted-clock.js'
import { blockEventLoop } from '../../support/standing-still.js'

describe('a lease', () => {
  afterEach(() => shiftClock(0))

  it('is held for its time, and for as long again from when a renewal was sent', async () => {
    const lease = new Lease(100, new Moment(), async () => true)
    assert.equal(lease.held, true)
    blockEventLoop(60)
    assert.equal(await lease.renew(), true)
    blockEventLoop(60)
    assert.equal(lease.held, true)
    blockEventLoop(60)
    assert.equal(lease.held, false)
  })

  it('is counted from when a renewal was sent, not from when its answer came', async () => {
    const lease = new Lease(50, new Moment(), async () => {
      blockEventLoop(60)
      return true
    })
    assert.equal(await lease.renew(), false)
  })

  it('lapses while the machine is suspended, when the monotonic clock stands still', () => {
    const lease = new Lease(3_000, new Moment(), async () => true)
    shiftClock(5_000)
    assert.equal(lease.held, false)
  })

  it('does not outlast its time when the wall clock is set back', () => {
    const lease = new Lease(50, new Moment(), async () => true)
    shiftClock(-3_600_000)
    blockEventLoop(60)
    assert.equal(lease.held, false)
  })

  it('is lost for good once Redis has said so, and is not asked about again', async () => {
    let asked = 0
    const lease = new Lease(60_000, new Moment(), async () => {
      asked += 1
      return false
    })
    assert.equal(await lease.renew(), false)
    assert.equal(await lease.renew(), false)
    assert.equal(lease.held, false)
    assert.equal(asked, 1)
  })

  it('holds until its end where Redis does not answer', async () => {
    const lease = new Lease(50, new Moment(), async () => {
      throw new Error('no answer')
    })
    assert.equal(await lease.renew(), true)
    blockEventLoop(60)
    assert.equal(await lease.renew(), false)
  })
})
