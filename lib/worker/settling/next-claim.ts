// When an alarm should claim next, from the head of an index as a claim or a pulse has found it.

import type { ClaimAnswer } from '../../redis/claim.js'
import { BURST } from '../../redis/leases.js'

/** How long before its deadline a timer is claimed, so that Redis has answered by the deadline. */
export const AHEAD_MS = 3

/** The orders of a dead worker are claimed as soon as its lease ends. */
export function untilNextClaimMs(
  { now, next, burstLeft, leaseEnds }: Pick<ClaimAnswer, 'now' | 'next' | 'burstLeft' | 'leaseEnds'>,
  skewMs: number,
): number {
  if (burstLeft) return 0
  const untilLeaseEndsMs = leaseEnds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, leaseEnds - now)
  if (next === undefined) return untilLeaseEndsMs
  const untilDueMs = Math.max(0, next - (now + skewMs))
  return Math.min(untilLeaseEndsMs, Math.max(0, untilDueMs - (untilDueMs > BURST.withinMs ? BURST.withinMs : AHEAD_MS)))
}
