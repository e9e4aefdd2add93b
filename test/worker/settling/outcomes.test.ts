import assert from 'node:assert/strict'
import type { Disposition } from '../../../lib/redis/leases.js'
import type { Settlement } from '../../../lib/rows/settlement.js'
import { Outcomes, type OutcomesDependencies } from '../../../lib/worker/settling/outcomes.js'

const NOTHING: Settlement = { settled: [], early: [], locked: [], gone: [], held: [] }

describe('The outcomes of a settlement', () => {
  const outcomes = () => {
    const dependencies = { reporter: { settled() {} }, latenessCounts: { note() {} } } as unknown as OutcomesDependencies
    const all = new Outcomes(dependencies)
    return (settlement: Partial<Settlement>) => {
      const dispositions: Disposition[] = []
      all.take({ rule: { kind: 'order_confirm' }, via: 'alarm' } as never, { ...NOTHING, ...settlement }, dispositions)
      return dispositions[0]?.delayMs
    }
  }

  for (const [what, end] of Object.entries({
    'was settled': { settled: [{ id: '1', deadline: null, latenessMs: null }] },
    'was put off': { early: [{ id: '1', remainingMs: 60_000 }] },
    'has left': { gone: ['1'] },
  }))
    it(`an order whose row stays locked waits longer each time, and one that ${what} meanwhile briefly again`, () => {
      const take = outcomes()
      assert.deepEqual(
        [1, 2, 3].map(() => take({ locked: ['1'] })),
        [250, 500, 1_000],
      )
      take(end)
      assert.equal(take({ locked: ['1'] }), 250)
    })
})
