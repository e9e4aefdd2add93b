// When orders count as late or stuck, and a sweep as missing: the same for `status`, the page and `/ready`.

/** An order that has been due for longer is late, although the alarm or the next sweep may still settle it. */
export const OVERDUE_MS = 5_000

/** The same if no sweep is scheduled, so that nothing else finds it. */
const UNSWEPT_MS = 90_000

/** A shorter interval between sweeps counts as this long: on a busy machine such sweeps are late without a fault. */
const SHORTEST_SWEEP_MS = 10_000

/** How late a rule's orders may be (p99), if there are at least LATE_COUNT. */
export const LATE_P99_MS = 1_000
export const LATE_COUNT = 20

/** How far two clocks may be apart. */
export const SKEW_MS = 1_000

/** If orders wait longer for an answer of `verify`, a person should look. */
export const VERIFY_WAIT_MS = 3_600_000

export interface SweepLimits {
  /** An order that is overdue for longer is stuck. */
  stuckMs: number
  /** After what time without a reading of overdue orders the sweep is late, and after what time it counts as missing. Undefined if no sweep is scheduled. */
  lateReadMs: number | undefined
  goneReadMs: number | undefined
}

/** @param sweepMs milliseconds between two sweeps; null or undefined if none is scheduled */
export function sweepLimits(sweepMs: number | null | undefined): SweepLimits {
  if (sweepMs === null || sweepMs === undefined) return { stuckMs: UNSWEPT_MS, lateReadMs: undefined, goneReadMs: undefined }
  const everyMs = Math.max(sweepMs, SHORTEST_SWEEP_MS)
  return { stuckMs: 1.5 * everyMs, lateReadMs: 1.5 * everyMs, goneReadMs: 3 * everyMs }
}
