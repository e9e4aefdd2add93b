// The state of an order's timer as customers may see it: neither why it is held nor by whom. Only this file turns a row into a state.

import type { WatchedRow } from '../rows/watched-rows.js'

/**
 * `running`; `paused`: its timer is stopped; `held`: its kind is held; `checking`: it is due, and the payment service is
 * asked; `settling`: it is due; `ended`: it has no timer, for any reason; `absent`: there is no such order, or it is not for this customer.
 */
export type CountdownState = 'running' | 'paused' | 'held' | 'checking' | 'settling' | 'ended' | 'absent'

/** One order's timer under one rule. */
export interface Countdown {
  kind: string
  /** As in the request. */
  id: string
  state: CountdownState
  /** Milliseconds to the deadline, negative once it has passed; if it is paused, the stored milliseconds; null without a timer, and if it is held. */
  remaining: number | null
}

export type Seen = Pick<Countdown, 'state' | 'remaining'>

export const ABSENT: Seen = { state: 'absent', remaining: null }

/** Properties of a kind. */
export interface KindFacts {
  isHeld: boolean
  /** Whether `verify` asks before an order is settled. */
  verifies: boolean
}

/** While a kind is held its deadlines have no effect, so no time is counted down. */
export function seenIn({ applies, paused, remainingMs }: WatchedRow, { isHeld, verifies }: KindFacts): Seen {
  if (!applies || remainingMs === null) return { state: 'ended', remaining: null }
  if (paused) return { state: 'paused', remaining: remainingMs }
  if (isHeld) return { state: 'held', remaining: null }
  if (remainingMs > 0) return { state: 'running', remaining: remainingMs }
  return { state: verifies ? 'checking' : 'settling', remaining: remainingMs }
}
