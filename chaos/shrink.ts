// Makes a failing plan smaller: by halves, then by smaller parts, whatever can be left out while the run still fails is left out.
// A run is no pure function of its plan, so that a part may be kept that had no share in it; a plan that is returned has failed.

import type { Plan } from './plan.js'
import { requiredSeconds } from './plan.js'

export interface Shrunk {
  plan: Plan
  /** Runs that it took. */
  runs: number
  /** Whether no single fault could be left out; false where the limit of runs came first. */
  smallest: boolean
}

/**
 * @param fails runs a plan and resolves to whether it fails in the way that is looked for
 * @param mostRuns the limit of runs
 */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>, mostRuns: number): Promise<Shrunk> {
  let smallest = plan
  let runs = 0
  let parts = 1
  while (smallest.faults.length > 0) {
    const size = Math.ceil(smallest.faults.length / parts)
    let smaller: Plan | undefined
    for (let first = 0; first < smallest.faults.length && smaller === undefined; first += size) {
      if (runs === mostRuns) return { plan: smallest, runs, smallest: false }
      runs += 1
      const candidate = without(smallest, first, size)
      if (await fails(candidate)) smaller = candidate
    }
    if (smaller !== undefined) {
      smallest = smaller
      parts = Math.max(2, parts - 1)
    } else if (size === 1) {
      break
    } else {
      parts = Math.min(parts * 2, smallest.faults.length)
    }
  }
  return { plan: smallest, runs, smallest: true }
}

function without(plan: Plan, first: number, count: number): Plan {
  const faults = plan.faults.toSpliced(first, count)
  return { ...plan, faults, seconds: Math.min(plan.seconds, requiredSeconds(faults)) }
}
