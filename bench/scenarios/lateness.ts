// How late orders are settled that come due 5 ms apart, with other timers pending: from each deadline to its commit.
import { type Figures, latenessOf } from '../row.js'
import { type Outcome, settle } from '../settling.js'
import { OURS, type SystemName } from '../systems/index.js'
import { PEERS, type Scenario } from './scenario.js'

export const SPACING_MS = 5
export const PATIENCE_MS = 60_000

export const lateness: Scenario = {
  name: 'lateness',
  title: 'orders due 5 ms apart, from deadline to commit, with others pending',
  systems: [OURS, ...PEERS, 'setex-listener', 'limit'],
  n: 1_000,
  pendings: [0, 10_000, 100_000, 1_000_000],
  rounds: 3,
  entries: (system, n, pending) => [{ system, n, pending }],
  run: async (site, { system, n, pending }) =>
    punctuality(await settle(site, { system: system as SystemName, n, pending, spacingMs: SPACING_MS, patienceMs: PATIENCE_MS })),
}

export function punctuality({ latenessMs }: Outcome): Figures {
  const late = latenessOf(latenessMs)
  return { delivered: latenessMs.length, ...(late && { latenessMs: late }) }
}
