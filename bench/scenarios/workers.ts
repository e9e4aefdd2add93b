// The drain with several workers, each in a process of its own, and whether any work was done twice: orders that workers
// worked at beyond those there were, and row updates beyond them.
import { settle } from '../settling.js'
import { OURS, type SystemName } from '../systems/index.js'
import { drained } from './drain.js'
import type { Scenario } from './scenario.js'

const CREWS = [1, 2, 4]

export const workers: Scenario = {
  name: 'workers',
  title: 'the drain with 1, 2 and 4 workers',
  systems: [OURS],
  // Enough that the start of processes, which four have more of than one, is not what is measured.
  n: 200_000,
  pendings: [0],
  rounds: 3,
  entries: (system, n, pending) => CREWS.map((crew) => ({ system, workers: crew, n, pending })),
  run: async (site, { system, workers: crew = 1, n, pending }) => {
    const outcome = await settle(site, { system: system as SystemName, n, pending, spacingMs: 0, workers: crew, patienceMs: 60_000 })
    const handled = outcome.handled.reduce((sum, share) => sum + share, 0)
    return {
      ...drained(outcome, n),
      detail: {
        workedTwice: Math.max(0, handled - n),
        updatedTwice: Math.max(0, outcome.updates - n),
        smallestShare: Math.min(...outcome.handled),
      },
    }
  },
}
