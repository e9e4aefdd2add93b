// What became of one rule's orders since the worker started, as `health()` shows it.

export interface KindCounters {
  settled: number
  failed: number
  dead: number
  early: number
  locked: number
  held: number
  gone: number
  /** Keys that another service set and that expired, of orders whose rows have no deadline: nothing settles those. */
  undated: number
  /** Deadlines of an earlier stay where the rule applies, cleared on orders that have left. */
  cleared: number
}

export function newCounters(): KindCounters {
  return { settled: 0, failed: 0, dead: 0, early: 0, locked: 0, held: 0, gone: 0, undated: 0, cleared: 0 }
}
