// How long after it is due, with no fault about, something may take at most.

import type { Run } from './run.js'

/** What a worker needs beyond one sweep: leases of killed workers, reconnections, a claim's way. On a machine that has time for it. */
const WORK_MS = 2_000

/** A sweep and the work; where the machine gave processes only a part of the time that they asked for, as measured, the work takes so much longer. */
export function allowedMs({ sweepMs, slowdown }: Pick<Run, 'sweepMs' | 'slowdown'>): number {
  return sweepMs + WORK_MS * slowdown
}
