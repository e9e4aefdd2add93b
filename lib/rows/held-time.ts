// How long a kind was held within the time that counts towards its `staleAfter`. The guard gets it as a number, so that no statement reads it: it is
// read by each sweep, and by what counts or lists orders, before they use the guard.

import type { Transaction } from 'sequelize'
import type { Holds } from './holds.js'
import type { SettledRows } from './row-rule.js'

/** When a kind was held; a present hold counts as ending now. */
export interface HeldSpan {
  beganMsAgo: number
  endedMsAgo: number
}

/** Far more holds than fit into any `staleAfter`. */
const MOST_SPANS = 1_000

/** @throws what Postgres throws */
export async function noteHeldTime({ guard, holds }: Pick<SettledRows, 'guard' | 'holds'>, within?: Transaction): Promise<void> {
  guard.heldMs = heldMs(await spansOf(holds, within), guard.staleAfterMs)
}

/**
 * Goes back from now until this much time without a hold has passed.
 * @param spans latest end first; they may overlap
 * @returns how long it was held in that time, milliseconds
 */
export function heldMs(spans: readonly HeldSpan[], staleAfterMs: number): number {
  let [at, free, held] = [0, 0, 0]
  for (const { beganMsAgo, endedMsAgo } of spans) {
    free += Math.max(0, endedMsAgo - at)
    if (free >= staleAfterMs) break
    held += Math.max(0, beganMsAgo - Math.max(at, endedMsAgo))
    at = Math.max(at, beganMsAgo)
  }
  return Math.round(held)
}

/** Latest end first. */
function spansOf(holds: Holds, within: Transaction | undefined): Promise<HeldSpan[]> {
  const ago = (instant: string) => `(extract(epoch FROM clock_timestamp() - ${instant}) * 1000)::float8`
  const sql = `SELECT ${ago('since')} AS "beganMsAgo", ${ago('coalesce(ended_at, least(opens_at, clock_timestamp()))')} AS "endedMsAgo"
FROM ${holds.table} WHERE prefix = $1 AND kind = $2 ORDER BY ended_at DESC LIMIT ${MOST_SPANS}`
  return holds.ifThere((transaction) => holds.ask<HeldSpan>(sql, [], transaction), within)
}
