// The consequences of a committed settlement: its report, dispositions for the orders that were not settled, and the timers that it
// started.

import type { Disposition } from '../../redis/leases.js'
import type { OnHold } from '../../rows/hold-switch.js'
import type { Settlement } from '../../rows/settlement.js'
import { type BoundRule, isSwept } from '../../rules/rule.js'
import type { Reporter } from '../reporter.js'
import { LockWaits } from './backoff.js'
import type { Lateness } from './lateness.js'
import type { LockedRows } from './locked-rows.js'
import type { Work } from './work.js'

export interface OutcomesDependencies {
  reporter: Reporter
  /** How late an order with this deadline is, by the clock of its rule; null if unknown. */
  lateness: (rule: BoundRule, deadlineMs: number) => number | null
  /** Counts how late orders are. */
  latenessCounts: Lateness
  /** Remembers which rows are locked. A single pass has none. */
  lockedRows?: LockedRows | undefined
  /** Prevents claims of the rule for this many milliseconds. */
  rest: (rule: BoundRule, restMs: number) => void
  /** Arms a timer that a settlement started. */
  arm: (kind: string, id: string, deadlineMs: number) => void
}

/** How often a worker checks a held kind. A release wakes it. */
const HELD_REST_MS = 5_000
const BRIEF_REST_MS = 250

export class Outcomes {
  private readonly lockWaits = new LockWaits()

  constructor(private readonly dependencies: OutcomesDependencies) {}

  /** @param dispositions gets those of the orders that were not settled */
  take({ rule, via, lookedAt }: Work, settlement: Settlement, dispositions: Disposition[]): void {
    if (settlement.onHold) {
      this.putBackHeld(rule, settlement.onHold, settlement.held, dispositions)
      return
    }
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
    // The next sweep finds orders with a deadline on the row again; timers only in Redis must go back into the index.
    for (const id of held) dispositions.push({ id, delayMs: isSwept(rule) ? undefined : this.lockWaits.next(kind, id) })
    for (const orders of [settled, early, gone.map((id) => ({ id }))]) this.lockWaits.forget(kind, orders) // another stay begins anew
  }

  /** It is not an attempt. The orders stay in the index, and are claimed by deadline once the kind is released. */
  private putBackHeld(rule: BoundRule, onHold: OnHold, ids: readonly string[], dispositions: Disposition[]): void {
    const { reporter, rest } = this.dependencies
    for (const id of ids) dispositions.push({ id, delayMs: 0 })
    // While a hold is being placed it is unknown whether it will be committed.
    rest(rule, onHold.since === undefined ? BRIEF_REST_MS : Math.min(HELD_REST_MS, Math.max(1, onHold.opensInMs ?? HELD_REST_MS)))
    if (onHold.since !== undefined) reporter.onHold(rule, { since: onHold.since, reason: onHold.reason })
  }

  private noteLocks(kind: string, { settled, locked, gone, early, held }: Settlement): void {
    const { lockedRows } = this.dependencies
    if (!lockedRows) return
    lockedRows.note(kind, locked)
    if (!lockedRows.knows(kind)) return
    lockedRows.forget(kind, [...settled.map(({ id }) => id), ...gone, ...early.map(({ id }) => id), ...held])
  }
}
