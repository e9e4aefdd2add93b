// What follows from a settlement that has committed: its report, dispositions for the orders that were not settled, and the timers that it
// started.

import type { Disposition } from '../../redis/leases.js'
import type { Settlement } from '../../rows/settlement.js'
import { type BoundRule, isSwept } from '../../rules/rule.js'
import type { Reporter } from '../reporter.js'
import { LockWaits } from './backoff.js'
import type { Lateness } from './lateness.js'
import type { LockedRows } from './locked-rows.js'
import type { Work } from './work.js'

export interface OutcomesDependencies {
  reporter: Reporter
  /** How late an order was that was due at this instant, by the clock of its rule; null if that is unknown. */
  lateness: (rule: BoundRule, deadlineMs: number) => number | null
  /** Counts how late orders are. */
  latenessCounts: Lateness
  /** Remembers which rows are locked. A single pass has none. */
  lockedRows?: LockedRows | undefined
  /** Arms a timer that a settlement started. */
  arm: (kind: string, id: string, deadlineMs: number) => void
}

export class Outcomes {
  private readonly lockWaits = new LockWaits()

  constructor(private readonly dependencies: OutcomesDependencies) {}

  /** @param dispositions gets what is to become of the orders that were not settled */
  take({ rule, via, lookedAt }: Work, settlement: Settlement, dispositions: Disposition[]): void {
    const { reporter, lateness, latenessCounts, arm } = this.dependencies
    for (const order of settlement.settled)
      if (order.latenessMs === null && order.deadline !== null) order.latenessMs = lateness(rule, order.deadline)
    latenessCounts.note(rule.kind, via, settlement.settled, lookedAt)
    if (via === 'event') reporter.keysWithoutDeadline(rule, settlement.undated ?? [])
    this.dispose(rule, settlement, dispositions)
    this.noteLocks(rule.kind, settlement)
    reporter.settled(rule, via, settlement)
    for (const { kind, id, deadlineMs } of settlement.startedTimers ?? []) arm(kind, id, deadlineMs)
  }

  private dispose(rule: BoundRule, { settled, gone, early, locked, held, unproven = [] }: Settlement, dispositions: Disposition[]): void {
    const { kind } = rule
    for (const id of gone) dispositions.push({ id, gone: true })
    for (const { id, remainingMs } of early) dispositions.push({ id, delayMs: Math.max(1, remainingMs) })
    for (const id of unproven) dispositions.push({ id, delayMs: this.lockWaits.next(kind, id) })
    for (const id of locked) dispositions.push({ id, delayMs: this.lockWaits.next(kind, id) })
    // The next sweep finds again what is on a row; what is in Redis alone has to come back by itself.
    for (const id of held) dispositions.push({ id, delayMs: isSwept(rule) ? undefined : this.lockWaits.next(kind, id) })
    this.lockWaits.forget(kind, settled)
  }

  private noteLocks(kind: string, { settled, locked, gone, early, held }: Settlement): void {
    const { lockedRows } = this.dependencies
    if (!lockedRows) return
    lockedRows.note(kind, locked)
    if (!lockedRows.knows(kind)) return
    lockedRows.forget(kind, [...settled.map(({ id }) => id), ...gone, ...early.map(({ id }) => id), ...held])
  }
}
