import assert from 'node:assert/strict'
import { type StageDependencies, type VerifiedRule, VerifyingStage } from '../../../lib/worker/verifying/stage.js'

describe('the stage of rules with "verify"', () => {
  it('asks about nothing whose lease has lapsed, and drops none of it', async () => {
    const rule = { kind: 'order_pay', row: { verification: { batch: 10, concurrency: 1, perSecond: 10 } } } as VerifiedRule
    const expired: [string, number][] = []
    const reporter = { leaseExpired: (kind: string, count: number) => void expired.push([kind, count]) } as StageDependencies['reporter']
    const stage = new VerifyingStage({ rules: [rule], reporter, pace: undefined, leaving: new AbortController().signal })
    const lease = { held: false, renew: async () => false, renewed: () => () => {} }
    const { ids, dispositions } = await stage.verify({ rule, ids: ['1', '2'], lease } as never, rule)
    const lapsed = ['1', '2'].map((id) => ({ id, lapsed: true }))
    assert.deepEqual([ids, dispositions, expired], [[], lapsed, [['order_pay', 2]]])
  })
})
