// The promises as a property: whatever happens to a shop, in whatever order, no order is early, lost, settled twice or settled after its
// timer was taken away. FAST_CHECK_RUNS=500 looks for longer; FAST_CHECK_SEED and FAST_CHECK_PATH, as a failure prints them, repeat it;
// FAST_CHECK_SHRINK=off ends with the first failure as it is.

import fc from 'fast-check'
import { type Story, stories } from './model/commands.js'
import { play } from './model/play.js'

const { FAST_CHECK_RUNS, FAST_CHECK_SEED, FAST_CHECK_PATH, FAST_CHECK_SHRINK } = process.env

/** Without FAST_CHECK_RUNS, no run begins after this. */
const LOOK_FOR_MS = 20_000
/** How long a failure is shrunk. */
const SHRINK_FOR_MS = 90_000

describe('Whatever happens to a shop', () => {
  it('no order is early, lost, settled twice, or settled after its timer was taken away', async function () {
    this.timeout(FAST_CHECK_RUNS ? 0 : 2 * SHRINK_FOR_MS)
    const limits = { look: performance.now() + (FAST_CHECK_RUNS ? Number.POSITIVE_INFINITY : LOOK_FOR_MS), shrink: 0 }
    const property = fc.asyncProperty(stories, async (story) => {
      if (performance.now() > (limits.shrink || limits.look)) return
      try {
        await play(story)
      } catch (error) {
        limits.shrink ||= performance.now() + SHRINK_FOR_MS
        throw error
      }
    })
    const found = await fc.check(property, {
      numRuns: Number(FAST_CHECK_RUNS ?? 14),
      ...(FAST_CHECK_SHRINK === 'off' && { endOnFailure: true }),
      ...(FAST_CHECK_SEED && { seed: Number(FAST_CHECK_SEED) }),
      ...(FAST_CHECK_PATH && { path: FAST_CHECK_PATH, endOnFailure: true }),
    })
    if (found.failed) throw new Error(describeFailure(found), { cause: found.errorInstance })
  })
})

function describeFailure({ seed, counterexample, counterexamplePath, numShrinks, errorInstance }: fc.RunDetails<[Story]>): string {
  const { processClockMs, commands } = counterexample?.[0] ?? { processClockMs: 0, commands: [] }
  return [
    (errorInstance as Error | undefined)?.message,
    `after this, shrunk ${numShrinks} times (process clock off by ${processClockMs} ms):`,
    ...commands.map((command) => `  ${JSON.stringify(command)}`),
    `again: FAST_CHECK_SEED=${seed} FAST_CHECK_PATH=${counterexamplePath} npm test -- --grep 'Whatever happens to a shop'`,
  ].join('\n')
}
