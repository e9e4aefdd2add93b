// Reports what happens to orders. Each method counts, logs and emits its event, or raises its fault, so that a caller cannot forget one of
// them. It also decides whether something is reported again. Problems with a server or a rule are raised on `faults` directly.

import { errorText } from '../error-text.js'
import { show } from '../errors.js'
import type { Log } from '../logger.js'
import { Meters } from '../meters.js'
import type { LiveFeed } from '../redis/live-feed.js'
import { MOST_COUNTED, type Stale } from '../rows/pending-rows.js'
import type { SettledOrder, Settlement } from '../rows/settlement.js'
import type { BoundRule } from '../rules/rule.js'
import type { Path, WorkerEmitter, WorkerEvents } from './events.js'
import type { Faults } from './faults.js'
import { describe, summary } from './log-lines.js'
import { ReportMemory } from './report-memory.js'
import { type KindCounters, newCounters } from './settling/counters.js'

/** One failed attempt. */
export interface FailedAttempt {
  id: string
  error: unknown
  attempts: number
  /** What failed, if it was not the settlement itself: `"afterCommit"`. */
  work?: string
  /** Milliseconds until the next attempt; `never`: this work is tried only once; `dead`: this was the last attempt. */
  next: { retryInMs: number } | 'never' | 'dead'
}

export class Reporter {
  /** By kind, of every rule and reminder. */
  readonly counters: ReadonlyMap<string, KindCounters>
  private readonly memory = new ReportMemory()
  /** By kind: the start of its hold. */
  private readonly held = new Map<string, number>()

  constructor(
    kinds: Iterable<string>,
    private readonly events: WorkerEmitter,
    readonly faults: Faults,
    readonly log: Log,
    private readonly meters = new Meters(),
    private readonly feed?: LiveFeed,
  ) {
    this.counters = new Map([...kinds].map((kind) => [kind, newCounters()]))
  }

  /** A batch has been settled and its transaction committed. Reminders are counted here, and `reminded` reports them once their `run` succeeded. */
  settled(rule: BoundRule, via: Path, settlement: Settlement): void {
    const { kind } = rule
    const { settled: orders, dryRun, braked, cleared = 0 } = settlement
    const counters = this.of(kind)
    for (const outcome of ['settled', 'early', 'locked', 'held', 'gone'] as const) counters[outcome] += settlement[outcome].length
    counters.cleared += cleared
    if (orders.length > 0 && !rule.reminder) {
      this.log('info', () => summary(rule, orders), { kind, via, count: orders.length })
      if (this.log.debugs)
        for (const { id, latenessMs } of orders) this.log('debug', () => describe(rule, id), { kind, id, via, latenessMs })
      this.meters.settled.add(`${kind} ${via}`, orders.length)
      this.events.emitSafely('settled', { kind, via, orders })
      if (this.feed?.watched) {
        const late = orders.map(({ id, latenessMs: ms }) => ({ id, ms }))
        this.feed.note('settled', kind, late, via)
      }
    }
    if (dryRun) this.wouldSettle(kind, via, dryRun)
    if (braked !== undefined) this.braked(rule, braked)
  }

  /** Reminders of these orders have been sent. */
  reminded({ of: kind, label }: NonNullable<BoundRule['reminder']>, via: Path, orders: SettledOrder[]): void {
    this.log('info', `${kind}: ${orders.length} reminded, ${label} before`, { kind, via, count: orders.length })
    this.events.emitSafely('reminded', { kind, before: label, via, orders })
  }

  /** An attempt failed because of the rule's own code. */
  failed({ kind, attempts: most }: BoundRule, { id, error, attempts, next, work }: FailedAttempt): void {
    const counters = this.of(kind)
    const order = `${kind} ${id}${work ? `: ${work}` : ''}`
    counters.failed += 1
    this.meters.failed.add(kind)
    if (this.feed?.watched) this.feed.note(next === 'dead' ? 'dead' : 'failed', kind, [{ id }])
    if (next === 'dead') {
      counters.dead += 1
      this.meters.dead.add(kind)
      const message = `${order}: dead letter after ${attempts} attempts: ${errorText(error)}`
      this.log('error', message, { code: 'DEAD_LETTER', kind, id, attempts })
      this.events.emitSafely('dead', { kind, id, error, attempts })
      return
    }
    const retryInMs = next === 'never' ? null : next.retryInMs
    const text = retryInMs === null ? 'failed and is not retried' : `attempt ${attempts} of ${most} failed`
    const fields = { code: 'RULE_FAILED', kind, id, attempts, retryInMs }
    this.log(retryInMs === null ? 'error' : 'warn', `${order}: ${text}: ${errorText(error)}`, fields)
    this.events.emitSafely('failed', { kind, id, error, attempts, retryInMs })
  }

  /** The rule's brake was read. @param isBraked whether it stops the rule */
  braked({ kind, row }: BoundRule, isBraked: boolean): void {
    if (!isBraked) {
      this.faults.clear('BRAKED', kind)
      return
    }
    const message = `${kind}: stopped, since it would settle ${row?.brake?.inWords}`
    const remedy = `look at what it settles, then release it (order-timers release ${kind})`
    this.faults.raise('BRAKED', { kind, message, remedy })
  }

  /** The rule's holds were read. @param hold the present hold, if there is one */
  onHold({ kind, reminder }: BoundRule, hold: { since: number; reason: string } | undefined): void {
    if (reminder || this.held.get(kind) === hold?.since) return
    if (!hold) {
      this.held.delete(kind)
      this.log('info', `${kind}: is no longer held`, { code: 'RELEASED', kind })
      return
    }
    this.held.set(kind, hold.since)
    const message = `${kind}: held since ${new Date(hold.since).toISOString()} (${hold.reason}); nothing of it is settled until it is released`
    this.log('warn', message, { code: 'HELD', kind })
  }

  /** Orders are overdue by more than `staleAfter`. */
  stale(kind: string, { count, oldest }: Stale): void {
    if (!this.memory.hasChanged(`${kind} stale`, count) || oldest === null) return
    const message = `${kind}: ${many(count)} orders are overdue by more than "staleAfter" and are not settled`
    this.log('warn', message, { code: 'STALE', kind, count })
    this.events.emitSafely('stale', { kind, count, oldest: new Date(oldest) })
  }

  /** Orders match the rule and have no deadline. */
  undated(kind: string, count: number): void {
    this.meters.undated.set(kind, count)
    if (!this.memory.hasChanged(`${kind} undated`, count)) return
    const message = `${kind}: ${many(count)} orders are where the rule applies and have no deadline`
    this.log('info', message, { code: 'UNDATED', kind, count })
    this.events.emitSafely('undated', { kind, count })
  }

  /** Orders have a deadline, but the rule does not apply to them: they left, or have not entered yet. */
  left(kind: string, count: number): void {
    if (!this.memory.hasChanged(`${kind} left`, count)) return
    const what = `${many(count)} orders have a deadline and are not where the rule applies; one that comes back before its deadline is settled by it`
    const remedy = 'write NULL to the deadline when an order leaves, or let "auto" or the trigger do that'
    this.log('info', `${kind}: ${what}; ${remedy}`, { code: 'LEFT', kind, count })
    this.events.emitSafely('left', { kind, count })
  }

  /** Deadlines, or times stored by pauses, were cleared on this many orders to which the rule no longer applies; 0: there was nothing to clear. */
  cleared(kind: string, what: 'deadlines' | 'pauses', count: number): void {
    this.memory.forget(`${kind} ${what}`)
    this.of(kind).cleared += count
    if (count > 0)
      this.log('info', `${kind}: cleared the ${what} of ${count} orders that are no longer where the rule applies`, {
        kind,
        cleared: count,
      })
  }

  /** The table refuses the UPDATE that clears them. Reported once, until it succeeds. */
  notCleared(kind: string, what: 'deadlines' | 'pauses', error: unknown): void {
    if (!this.memory.isFirst(`${kind} ${what}`)) return
    const refused = `the ${what} of orders that are no longer where the rule applies could not be cleared (${errorText(error)})`
    const effect = 'an order that comes back after its deadline is settled at once'
    const message = `${kind}: ${refused}; ${effect}; let the table accept the UPDATE, or write NULL yourself`
    this.log('warn', message, { code: 'NOT_CLEARED', kind })
  }

  /** Keys that another service set have expired; their orders match the rule and have no deadline. Nothing else would notice that. */
  keysWithoutDeadline({ kind, row }: BoundRule, ids: readonly string[]): void {
    if (row?.deadline.in !== 'column' || ids.length === 0) return
    const counters = this.of(kind)
    counters.undated += ids.length
    if (!this.memory.isFirstInMinute(`${kind} keys`)) return
    const attribute = show(row.deadline.attribute)
    const what = `the key of ${row.guard.table.model.name} ${show(ids[0])} expired, but its row has no deadline (${attribute}), so it is not settled`
    const remedy = `write ${attribute} where the key is set, give the rule "backfill", or declare it with "since" or "deadline: false"`
    const count = counters.undated
    const message = `${kind}: ${what}; ${count} such keys since the worker started; ${remedy}`
    this.log('warn', message, { code: 'KEY_WITHOUT_DEADLINE', kind, id: ids[0], count })
  }

  /** The lease on a claim has expired before its orders were settled. */
  leaseExpired(kind: string, count: number): void {
    const message = `${kind}: the lease on ${count} claimed orders expired before they were settled; they will be claimed again`
    this.log('warn', message, { code: 'LEASE_LAPSED', kind, count })
  }

  /** Redis had lost these rules' timers, and those that come due soon are armed again. @param lost rules whose timers were only in Redis */
  restored(kinds: string[], armed: number, lost: readonly string[], nodes: readonly (string | undefined)[]): void {
    const rest = lost.length > 0 ? `; timers that were only in Redis are lost (${lost.join(', ')})` : ''
    const where = nodes.flatMap((node) => node ?? []).join(', ')
    const message = `Redis${where && ` at ${where}`} lost its data; re-armed ${armed} timers from Postgres (${kinds.join(', ')})${rest}`
    this.log('warn', message, { code: 'REDIS_LOST_DATA', kinds, armed })
    for (const node of nodes) this.faults.clear('REDIS_LOST_DATA', node)
    this.events.emitSafely('restored', { kinds, armed })
  }

  /** A batch went through the rule, whatever the outcome. */
  batch(kind: string, orders: number, durationMs: number): void {
    this.meters.batches.of(kind).add(orders)
    this.meters.settling.of(kind).add(durationMs)
  }

  /** A sweep has ended. */
  swept(sweep: WorkerEvents['swept'][0]): void {
    this.meters.sweeps.add(sweep.durationMs)
    this.events.emitSafely('swept', sweep)
  }

  /** With `dryRun`: each deadline is reported once, although every sweep finds it again. */
  private wouldSettle(kind: string, via: Path, orders: SettledOrder[]): void {
    const fresh = this.memory.newDeadlines(kind, orders)
    if (fresh.length === 0) return
    this.log('info', `${kind}: ${fresh.length} would be settled (dryRun)`, { kind, via, count: fresh.length })
    this.events.emitSafely('dryRun', { kind, via, orders: fresh })
  }

  private of(kind: string): KindCounters {
    return this.counters.get(kind) as KindCounters
  }
}

function many(count: number): string {
  return count >= MOST_COUNTED ? `${MOST_COUNTED} or more` : String(count)
}
