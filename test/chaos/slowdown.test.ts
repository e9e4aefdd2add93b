import assert from 'node:assert/strict'
import { Slowdown, worstOf } from '../../chaos/slowdown.js'
import { waitUntil } from '../support/waiting.js'

describe('The slowdown of the machine', () => {
  it('is that of the worst two seconds, and never less than 1', () => {
    assert.equal(worstOf([]), 1)
    assert.equal(worstOf([0.9]), 1)
    assert.equal(worstOf([3]), 3)
    assert.equal(worstOf([1, 1, 1, 9, 1, 1, 1]), 3)
    assert.equal(worstOf([1, 2, 2, 4, 4, 1, 1]), 3)
  })

  it('is measured by what the machine does', async () => {
    const slowdown = new Slowdown()
    await waitUntil(() => slowdown.worst > 1, { within: 20_000 })
    slowdown.stop()
    assert.ok(slowdown.worst < 1000, String(slowdown.worst))
  })
})
