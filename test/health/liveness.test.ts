import assert from 'node:assert/strict'
import { Liveness } from '../../lib/health/liveness.js'
import type { Loop } from '../../lib/loop.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers } from '../support/shop.js'

describe('liveness', () => {
  const time = performance.now
  let passedMs = 0
  let timers: { close(): Promise<void> }
  let loop: Loop

  beforeEach(() => {
    passedMs = 0
    timers = makeTimers({ order_other: () => {} }, { redis: false })
    loop = runtimeOf(timers).beats!.loop
    performance.now = () => time.call(performance) + passedMs
  })
  afterEach(async () => {
    performance.now = time
    await timers.close()
  })

  it('fails where a loop has not turned for a minute, and says which', () => {
    const liveness = new Liveness(runtimeOf(timers))
    assert.deepEqual(liveness.read(), { status: 'ok', silent: [] })
    loop.turned()
    passedMs += 59_000
    assert.equal(liveness.read().status, 'ok')
    passedMs += 2_000
    assert.deepEqual(liveness.read(), { status: 'ok', silent: [{ loop: 'beats', seconds: 61 }] })
    passedMs += 3_000
    assert.deepEqual(liveness.read(), { status: 'failing', silent: [{ loop: 'beats', seconds: 64 }] })
    loop.turned()
    assert.deepEqual(liveness.read(), { status: 'ok', silent: [] })
  })

  it('does not fail when the whole process stood still, and its loops turn again', () => {
    const liveness = new Liveness(runtimeOf(timers))
    loop.turned()
    passedMs += 3_600_000
    assert.equal(liveness.read().status, 'ok')
    loop.turned()
    passedMs += 10_000
    assert.deepEqual(liveness.read(), { status: 'ok', silent: [] })
  })
})
