// What the end of a claim puts back into the index.

import type { Disposition } from '../../redis/leases.js'

/**
 * The same dispositions, sent this many milliseconds later. Meanwhile a sweep without Redis may have settled what is a dead letter here. Nothing
 * checks a dead letter again, so it gets one more attempt instead.
 */
export function later(dispositions: readonly Disposition[], passedMs: number): Disposition[] {
  return dispositions.map((one) => {
    if (one.failure?.dead) return { id: one.id, delayMs: 0 }
    return one.delayMs === undefined ? one : { ...one, delayMs: Math.max(0, one.delayMs - passedMs) }
  })
}

/** Milliseconds until the first of them is due again; undefined if none waits. */
export function firstDueMs(dispositions: readonly Disposition[]): number | undefined {
  const delays = dispositions.flatMap(({ delayMs = 0 }) => (delayMs > 0 ? [delayMs] : []))
  return delays.length > 0 ? Math.min(...delays) : undefined
}
