// From when on orders count as late or stuck, and a sweep as missing: the same for `status`, the page and `/ready`.

/** What is due for longer than this is late, though the alarm or the next sweep may be at it. */
export const OVERDUE_MS = 5_000

/** The same, and nobody else finds it: where no sweep is scheduled. */
const UNSWEPT_MS = 90_000

/** Sweeps that are closer together than this are late where a machine is busy, and nothing is wrong. */
const SHORTEST_SWEEP_MS = 10_000

/** By how much the latest orders of a rule may be late (p99), if there are so many. */
export const LATE_P99_MS = 1_000
export const LATE_COUNT = 20

/** How far two clocks may be apart. */
export const SKEW_MS = 1_000

/** Orders that wait for an answer of `verify` for longer need somebody. */
export const VERIFY_WAIT_MS = 3_600_000

export interface SweepLimits {
  /** What is overdue for longer is stuck. */
  stuckMs: number
  /** For how long nobody may have read what is overdue: until that is late, and until it is broken. Undefined where no sweep is scheduled. */
  lateReadMs: number | undefined
  goneReadMs: number | undefined
}

/** @param sweepMs milliseconds between two sweeps; null or undefined where none is scheduled */
export function sweepLimits(sweepMs: number | null | undefined): SweepLimits {
  if (sweepMs === null || sweepMs === undefined) return { stuckMs: UNSWEPT_MS, lateReadMs: undefined, goneReadMs: undefined }
  const everyMs = Math.max(sweepMs, SHORTEST_SWEEP_MS)
  return { stuckMs: 1.5 * everyMs, lateReadMs: 1.5 * everyMs, goneReadMs: 3 * everyMs }
}
