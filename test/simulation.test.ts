// The package under virtual time, with models of Redis and Postgres (chaos/simulation/): stories of a shop, its workers and faults, each the same
// for the same seed. SIMULATION_RUNS=2000 looks for longer; SIMULATION_SEED and SIMULATION_PATH, as a failure prints them, repeat it.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Outcome, play } from '../chaos/simulation/play.js'
import { quietStories, type Story, stories } from '../chaos/simulation/story.js'

const { SIMULATION_RUNS, SIMULATION_SEED, SIMULATION_PATH } = process.env

/** Without SIMULATION_RUNS, no story begins after this. */
const LOOK_FOR_MS = 6_000
/** How long a failure is shrunk. */
const SHRINK_FOR_MS = 60_000

describe('A simulated shop', function () {
  this.timeout(SIMULATION_RUNS ? 0 : 3 * SHRINK_FOR_MS)

  it('does the same again for the same seed', async () => {
    const [story] = fc.sample(stories, { numRuns: 1, seed: 7 }) as [Story]
    await play(story) // what is loaded when it is first used is loaded now
    const [first, second, other] = [await play(story), await play(story), await play({ ...story, seed: story.seed + 1 })]
    assert.equal(second.trace, first.trace)
    assert.equal(second.steps, first.steps)
    assert.notEqual(other.trace, first.trace)
  })

  it('settles every order once, not early and, while nothing is wrong, on time', () => look(quietStories))

  it('settles every order once and not early, and loses none, whatever fails', () => look(stories))
})

async function look(of: fc.Arbitrary<Story>): Promise<void> {
  const limits = { look: performance.now() + (SIMULATION_RUNS ? Number.POSITIVE_INFINITY : LOOK_FOR_MS), shrink: 0 }
  const total = { stories: 0, virtualMs: 0, settled: 0, wishes: 0, unknown: 0 }
  const cpu = process.cpuUsage()
  const property = fc.asyncProperty(of, async (story) => {
    const isOver = performance.now() > (limits.shrink || limits.look)
    if (isOver && (limits.shrink || total.settled > 0)) return // a busy machine may have played one story, of which nothing came
    const outcome = await play(story)
    total.stories += 1
    for (const name of ['virtualMs', 'settled', 'wishes', 'unknown'] as const) total[name] += outcome[name]
    if (outcome.anomalies.length > 0) limits.shrink ||= performance.now() + SHRINK_FOR_MS
    refuse(outcome)
  })
  const found = await fc.check(property, {
    numRuns: Number(SIMULATION_RUNS ?? 200),
    ...(SIMULATION_SEED && { seed: Number(SIMULATION_SEED) }),
    ...(SIMULATION_PATH && { path: SIMULATION_PATH, endOnFailure: true }),
  })
  if (found.failed) throw new Error(describeFailure(found), { cause: found.errorInstance })
  assert.ok(total.settled > 0, 'nothing was settled')
  if (SIMULATION_RUNS) console.info({ ...total, timesRealTime: Math.round(total.virtualMs / (process.cpuUsage(cpu).user / 1000)) })
}

function refuse({ anomalies }: Outcome): void {
  if (anomalies.length > 0) throw new Error(anomalies.join('\n'))
}

function describeFailure({ seed, counterexample, counterexamplePath, numShrinks, errorInstance }: fc.RunDetails<[Story]>): string {
  const { steps = [], ...rest } = counterexample?.[0] ?? {}
  return [
    (errorInstance as Error | undefined)?.message,
    `after this, shrunk ${numShrinks} times (${JSON.stringify(rest)}):`,
    ...steps.map(({ after, step }) => `  after ${after} ms: ${JSON.stringify(step)}`),
    `again: SIMULATION_SEED=${seed} SIMULATION_PATH=${counterexamplePath} npm test -- test/simulation.test.ts`,
  ].join('\n')
}
