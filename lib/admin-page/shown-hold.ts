// Holds of a rule as the page shows them: a person's, or that of a bulk run; and orders that wait for an answer of `verify`.

import type { Hold } from '../rows/holds.js'
import type { UnverifiedSummary } from '../rows/unverified-orders.js'

/** Instants are milliseconds since 1970. */
export interface ShownHold {
  sinceMs: number
  reason: string
  by: string
  /** It belongs to a bulk run, which ends it. */
  isRun: boolean
  /** `moving`: its release moves deadlines. `opening`: it opens by itself at `untilMs`. */
  state: 'held' | 'moving' | 'opening'
  untilMs: number | null
}

export function shownHold({ since, reason, by, owner, state, until, opensAt }: Hold): ShownHold {
  const shown = state !== 'releasing' ? 'held' : opensAt === null ? 'moving' : 'opening'
  return { sinceMs: Math.trunc(since), reason, by, isRun: owner !== '', state: shown, untilMs: opensAt ?? until }
}

export interface ShownUnverified {
  count: number
  sinceMs: number | null
  nextMs: number | null
  /** How many had `false` for an answer three or more times in a row; and one of them. */
  refused: number
  refusedId: string | null
  lastError: string | null
}

/** @returns undefined if none waits */
export function shownUnverified(summary: UnverifiedSummary | undefined): ShownUnverified | undefined {
  if (!summary || summary.count === 0) return undefined
  const { count, since, next, refused, refusedId, lastError } = summary
  return { count, sinceMs: since?.getTime() ?? null, nextMs: next?.getTime() ?? null, refused, refusedId, lastError }
}
