import assert from 'node:assert/strict'
import type { BoundRule } from '../../../lib/rules/rule.js'
import { TimeLimits } from '../../../lib/worker/settling/time-limits.js'

const RULE = { kind: 'order_confirm', timeoutMs: 60_000 } as BoundRule

describe('The time limits of a worker', () => {
  it('once all work is aborted, begin none', async () => {
    const limits = new TimeLimits()
    const hanging = limits.run(RULE, () => new Promise(() => {}))
    const reason = new Error('the worker stops')
    limits.abortAll(reason)
    await assert.rejects(hanging, reason)
    let begun = false
    await assert.rejects(
      limits.run(RULE, async () => {
        begun = true
      }),
      reason,
    )
    assert.equal(begun, false)
  })
})
