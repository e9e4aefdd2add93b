// How an order's timer stands, in words that a customer may read: neither why it is held nor by whom. This is the place where a row is read as a state.

import type { WatchedRow } from '../rows/watched-rows.js'

/**
 * `running`; `paused`: its time stands still; `held`: nothing of its kind is settled at present; `checking`: it is due, and the payment service is
 * asked; `settling`: it is due; `ended`: it has no timer, whatever ended it; `absent`: there is no such order, or it is not for this customer.
 */
export type CountdownState = 'running' | 'paused' | 'held' | 'checking' | 'settling' | 'ended' | 'absent'

/** One order's timer under one rule. */
export interface Countdown {
  kind: string
  /** As it was asked for. */
  id: string
  state: CountdownState
  /** Milliseconds to the deadline, negative once it has passed; where it is paused those that are left; null where there is no timer, and where it is held. */
  remaining: number | null
}

export type Seen = Pick<Countdown, 'state' | 'remaining'>

export const ABSENT: Seen = { state: 'absent', remaining: null }

/** What is true of all orders of a kind. */
export interface KindFacts {
  isHeld: boolean
  /** Whether `verify` asks before an order is settled. */
  verifies: boolean
}

/** While a kind is held its deadlines pass and nothing comes of it, so no time is counted down. */
export function seenIn({ applies, paused, remainingMs }: WatchedRow, { isHeld, verifies }: KindFacts): Seen {
  if (!applies || remainingMs === null) return { state: 'ended', remaining: null }
  if (paused) return { state: 'paused', remaining: remainingMs }
  if (isHeld) return { state: 'held', remaining: null }
  if (remainingMs > 0) return { state: 'running', remaining: remainingMs }
  return { state: verifies ? 'checking' : 'settling', remaining: remainingMs }
}
