import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Plan, PlannedFault } from '../../chaos/plan.js'
import { shrink } from '../../chaos/shrink.js'

/** A plan whose faults are told apart by their seeds. */
function planOf(count: number): Plan {
  const faults = Array.from(
    { length: count },
    (_, n): PlannedFault => ({ kind: 'redis-killed', atMs: n * 1000, forMs: 500, host: 0, seed: n }),
  )
  return { seed: 1, seconds: 60, workers: 2, ordersPerSecond: 450, faults }
}

const seedsOf = ({ faults }: Plan) => faults.map(({ seed }) => seed)
const failsWith = (guilty: readonly number[]) => async (plan: Plan) => guilty.every((seed) => seedsOf(plan).includes(seed))

describe('Making a failing plan smaller', () => {
  it('leaves exactly the faults without which it does not fail', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), async (count, picks) => {
        const guilty = [...new Set(picks.map((pick) => pick % count))].sort((a, b) => a - b)
        const { plan, smallest } = await shrink(planOf(count), failsWith(guilty), 10_000)
        assert.deepEqual(seedsOf(plan), guilty)
        assert.equal(smallest, true)
      }),
    )
  })

  it('leaves none where the run fails without any', async () => {
    const { plan, runs } = await shrink(planOf(40), async () => true, 100)
    assert.deepEqual(plan.faults, [])
    assert.equal(runs, 1)
  })

  it('takes few runs for one guilty fault of a hundred', async () => {
    const { runs } = await shrink(planOf(100), failsWith([42]), 1000)
    assert.ok(runs <= 20, `${runs} runs`)
  })

  it('ends at the limit of runs, with a plan that has failed', async () => {
    const { plan, runs, smallest } = await shrink(planOf(100), failsWith([42, 77]), 5)
    assert.equal(runs, 5)
    assert.equal(smallest, false)
    assert.equal(await failsWith([42, 77])(plan), true)
  })

  it('shortens the run to what its faults need', async () => {
    const { plan } = await shrink(planOf(20), failsWith([3]), 100)
    assert.equal(plan.seconds, 6)
  })
})
