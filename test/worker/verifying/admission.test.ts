import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Admission } from '../../../lib/worker/verifying/admission.js'
import { inTime } from '../../support/waiting.js'

describe('the admission of calls to the payment service', () => {
  /** Has three calls wait behind one. @returns which have begun */
  const threeBehindOne = async (admission: Admission, signal: AbortSignal) => {
    const begun: number[] = []
    assert.equal(await admission.enter(signal), true)
    const waiting = [1, 2, 3].map(async (one) => {
      if (await admission.enter(signal)) begun.push(one)
    })
    await nextTurn()
    return { begun, ended: () => Promise.all(waiting) }
  }

  it('lets one of those that wait begin for each that ends', async () => {
    const admission = new Admission(1, 1)
    const stopping = new AbortController()
    const { begun, ended } = await threeBehindOne(admission, stopping.signal)
    for (const expected of [1, 2]) {
      admission.leave()
      await nextTurn()
      assert.equal(begun.length, expected)
    }
    stopping.abort()
    await ended()
    assert.equal(begun.length, 2)
  })

  it('gives those that are asked about again their turn, also where calls about new orders never end', async () => {
    const admission = new Admission(2, 10, 50)
    const { signal } = new AbortController()
    assert.equal(await admission.enter(signal), true)
    assert.equal(await inTime(admission.idle(signal), 5_000, 'its turn'), true)
    admission.failed()
    assert.equal(await admission.idle(signal), false)
  })

  it('lets one order alone begin after a failure, whatever "concurrency" is', async () => {
    const admission = new Admission(3, 10)
    const { signal } = new AbortController()
    for (let call = 0; call < 3; call += 1) assert.equal(await admission.enter(signal), true)
    admission.failed()
    for (let call = 0; call < 3; call += 1) admission.leave()
    await admission.free(signal)
    const { begun, ended } = await threeBehindOne(admission, signal)
    admission.leave()
    await nextTurn()
    assert.equal(begun.length, 1)
    admission.succeeded(1)
    await ended()
    assert.equal(begun.length, 3)
  })
})
