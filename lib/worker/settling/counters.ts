// How often each outcome has occurred under each rule since the worker started; `health()` shows it.

export interface KindCounters {
  /** Orders settled. */
  settled: number
  /** Attempts that failed. */
  failed: number
  /** Orders that became dead letters. */
  dead: number
  /** Orders that were not due yet when their rows were read. */
  early: number
  /** Orders whose row another transaction had locked. */
  locked: number
  /** Orders held by `where`, a pause, `staleAfter`, `dryRun` or the brake. */
  held: number
  /** Orders that no longer exist, to which the rule no longer applies, or that have no deadline. */
  gone: number
  /** Expired keys of other services whose orders have no deadline: nothing settles those. */
  undated: number
  /** Deadlines cleared on orders to which the rule no longer applies. */
  cleared: number
}

export function newCounters(): KindCounters {
  return { settled: 0, failed: 0, dead: 0, early: 0, locked: 0, held: 0, gone: 0, undated: 0, cleared: 0 }
}
