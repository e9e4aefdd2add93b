// How fast orders are settled that all come due at one instant, loaded before. Ours as a plain transition, with the shop's `run`, which
// needs instances, and with a row of history for each order; the limit is what batches of 1,000 reach with nothing around them, by
// Sequelize and by plain SQL.
import type { Figures } from '../row.js'
import { settle } from '../settling.js'
import { OURS, type SystemName } from '../systems/index.js'
import { BY_SQL } from '../systems/limit.js'
import { PEERS, type Scenario } from './scenario.js'

const PATIENCE_MS = 60_000
const VARIANTS: Partial<Record<SystemName, string[]>> = { [OURS]: ['run', 'history'], limit: [BY_SQL] }

export const drain: Scenario = {
  name: 'drain',
  title: 'orders due at one instant, settled',
  systems: [OURS, ...PEERS, 'setex-listener', 'limit'],
  n: 20_000,
  pendings: [0],
  rounds: 3,
  entries: (system, n, pending) => [
    { system, n, pending },
    ...(VARIANTS[system] ?? []).map((variant) => ({ system, variant, n, pending })),
  ],
  run: async (site, { system, variant, n, pending }) => {
    const outcome = await settle(site, { system: system as SystemName, variant, n, pending, spacingMs: 0, patienceMs: PATIENCE_MS })
    return drained(outcome, n)
  },
}

/** Settled orders a second, from the instant that they were due to the last commit. */
export function drained({ latenessMs, elapsedMs }: { latenessMs: number[]; elapsedMs: number }, n: number): Figures {
  const delivered = latenessMs.length
  const elapsed = delivered === n ? elapsedMs : PATIENCE_MS
  return { perSecond: delivered / (elapsed / 1000), delivered }
}
