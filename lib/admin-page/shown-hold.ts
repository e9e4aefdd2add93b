// What the page says of what holds a rule: a person's hold, or the one that a run in bulk has; and of orders that wait for an answer of `verify`.

import type { Hold } from '../rows/holds.js'
import type { UnverifiedSummary } from '../rows/unverified-orders.js'

/** Instants are milliseconds since 1970. */
export interface ShownHold {
  sinceMs: number
  reason: string
  by: string
  /** A run in bulk has it, and ends it. */
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
  /** Of how many the last answers, three or more, were `false`; and one of them. */
  refused: number
  refusedId: string | null
  lastError: string | null
}

/** @returns undefined where none waits */
export function shownUnverified(summary: UnverifiedSummary | undefined): ShownUnverified | undefined {
  if (!summary || summary.count === 0) return undefined
  const { count, since, next, refused, refusedId, lastError } = summary
  return { count, sinceMs: since?.getTime() ?? null, nextMs: next?.getTime() ?? null, refused, refusedId, lastError }
}
