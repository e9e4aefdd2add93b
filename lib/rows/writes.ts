// What settling an order writes to its row, besides clearing the deadline.

import type { Applies, Status } from './guard.js'

/** What a rule writes: a transition moves the status, an effect writes by its own `run` alone. */
export interface Writes {
  to?: Status
  set?: Record<string, unknown>
  individualHooks?: boolean
  auto?: boolean
}

/** What is a transition's, or an effect's, own: where it applies, and what it writes there. */
export interface RuleAction extends Writes {
  applies: Applies
}

/** What settling one rule means for rules that hook the same model (`auto`), in the settling UPDATE. */
export interface Cascade {
  /** More assignments of the UPDATE. */
  assignments: string[]
  /** Deadlines of the timers that it starts, as expressions over the updated row; null where it starts none. */
  startedTimers: { kind: string; deadline: string }[]
}
