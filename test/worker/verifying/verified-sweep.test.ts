import assert from 'node:assert/strict'
import { MemoryClaims } from '../../../lib/worker/settling/memory-claims.js'
import type { Work } from '../../../lib/worker/settling/work.js'
import { OverdueOrders } from '../../../lib/worker/sweep/overdue-orders.js'
import { VerifiedSweep, type VerifiedSweepDependencies } from '../../../lib/worker/verifying/verified-sweep.js'

describe('the sweep of a rule with "verify"', () => {
  it('asks again also about what a node of a cluster does not answer for', async () => {
    const asked: string[] = []
    const dispatcher = {
      verifying: { admission: () => ({ idle: async () => true }) },
      batchSize: () => 10,
      admits: async () => true,
      dispatch: async ({ ids }: Work) => void asked.push(...ids),
    }
    const claims = { overdue: async () => ({ work: { ids: ['1'] }, settledBefore: 0, unclaimed: ['2'] }) }
    const overdue = new OverdueOrders({ memory: new MemoryClaims(), claims, connection: { usable: true }, dispatcher } as never)
    overdue.settle = async () => ({ overdue: 0, stale: undefined }) // nothing that was never asked about
    const pages = [
      { ids: ['1', '2'], deadlines: [1, 1], nextMs: 0, last: { id: '2', next: '' } },
      { ids: [], deadlines: [], nextMs: undefined, last: undefined },
    ]
    const unverified = { dueAgain: async () => pages.shift(), summary: async () => ({ count: 0, refused: 0 }) }
    const sweep = new VerifiedSweep({
      ...{ overdue, dispatcher, comesBack: false, stopping: new AbortController().signal },
      reads: { lastLook: () => undefined },
      reporter: { faults: { clear() {} } },
      reportError: async (_: unknown, error: unknown) => assert.ifError(error),
    } as unknown as VerifiedSweepDependencies)
    sweep.begin({ kind: 'order_pay', row: { verification: { unverified, concurrency: 1 } } } as never)
    await sweep.ended()
    assert.deepEqual(asked.sort(), ['1', '2'])
  })
})
