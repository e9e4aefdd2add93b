// What settling one rule means for rules that hook the same model (`auto`): moved into their `from`, their timers start with the same
// UPDATE; moved out of it, they end.

import type { BoundRule, RowRule } from './rule.js'

export interface Chain {
  /** More to write in the settling UPDATE. */
  assignments: string[]
  /** Deadlines that it started, as expressions over the updated row; null where it started none. */
  started: { kind: string; deadline: string }[]
}

export function chainOf(_settled: RowRule, _autoRules: readonly BoundRule[]): Chain | undefined {
  return undefined
}
