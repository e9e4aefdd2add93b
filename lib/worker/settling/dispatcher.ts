// The one door through which rules are settled. It takes work in hand, settles it, halves a batch in which the rule failed until the
// failing order stands alone, and ends the claim with what is to come back. It never rejects and never drops an order.

import { setMaxListeners } from 'node:events'
import { setImmediate as nextTurn, setTimeout as setTimer } from 'node:timers/promises'
import type { Log } from '../../logger.js'
import { Moment } from '../../moment.js'
import type { Failure } from '../../redis/failed-timers.js'
import type { Disposition } from '../../redis/leases.js'
import type { SettledOrder, Settlement } from '../../rows/settlement.js'
import { type BoundRule, isSwept } from '../../rules/rule.js'
import { type FaultOwner, faultOwnerOf, isDoubtful, sqlStateOf } from '../../sequelize/fault-owner.js'
import { afterRunning, within } from '../../wait.js'
import { errorText, type WorkerEmitter } from '../events.js'
import type { Faults } from '../faults.js'
import { LockWaits, retryDelayMs } from './backoff.js'
import type { Work } from './claims.js'
import { type KindCounters, newCounters } from './counters.js'
import { Deliveries } from './deliveries.js'
import { DryRun } from './dry-run.js'
import { Failures } from './failures.js'
import { Lane } from './lane.js'
import type { LockedRows } from './locked-rows.js'
import { describe, summary } from './log-lines.js'
import { RecentClaims } from './recent-claims.js'
import { RuleHealth } from './rule-health.js'
import { UndatedKeys } from './undated-keys.js'

/** query_canceled, which is also how statement_timeout shows; https://www.postgresql.org/docs/current/errcodes-appendix.html */
const QUERY_CANCELED = '57014'

/**
 * How many batches a sweep makes one of, where they are settled without instances: its orders are late already, so it counts how many are
 * settled in a second, and not how soon the first is.
 */
const SWEPT_TOGETHER = 2

export interface DispatcherDependencies {
  rules: ReadonlyMap<string, BoundRule>
  concurrency: (rule: BoundRule) => number
  /** This worker's name, for the history. */
  worker: string
  events: WorkerEmitter
  faults: Faults
  log: Log
  lateness: (rule: BoundRule, deadlineMs: number) => number | null
  /** Where a worker remembers what is locked; a single pass has none. */
  lockedRows?: LockedRows
  /** Arms timers that a settlement started. */
  arm: (kind: string, id: string, deadlineMs: number) => void
}

export class Dispatcher {
  readonly counters = new Map<string, KindCounters>()
  private readonly lanes = new Map<string, Lane>()
  private readonly inHand = new Set<Promise<void>>()
  private readonly lockWaits = new LockWaits()
  private readonly recent = new RecentClaims()
  private readonly attempts = new Set<AbortController>()
  private readonly leaving = new AbortController()
  private givenUp = false
  private readonly failures: Failures
  private readonly deliveries: Deliveries
  private readonly dryRun: DryRun
  /** Faults that are not the rules' own. */
  readonly ruleHealth: RuleHealth
  private readonly undatedKeys: UndatedKeys
  private readonly rules: ReadonlyMap<string, BoundRule>
  private readonly faults: Faults
  private readonly events: WorkerEmitter
  private readonly log: Log

  constructor(private readonly dependencies: DispatcherDependencies) {
    const { rules, concurrency, faults, events, log } = dependencies
    this.rules = rules
    this.faults = faults
    this.events = events
    this.log = log
    this.failures = new Failures(this.counters, events, log)
    this.dryRun = new DryRun(events, log)
    setMaxListeners(0, this.leaving.signal) // each batch that was claimed ahead may wait by it
    this.ruleHealth = new RuleHealth(faults, (kind) => this.lane(kind))
    this.deliveries = new Deliveries(this.failures, log, this.ruleHealth, (rule, work) => this.limited(rule, work))
    this.undatedKeys = new UndatedKeys(this.counters, log)
    for (const [kind, rule] of rules) {
      this.lanes.set(kind, new Lane(concurrency(rule), rule.runsOwnCode ? 0 : 1))
      this.counters.set(kind, newCounters())
    }
  }

  /** Resolves when a batch of this kind may be brought. */
  free(kind: string, signal: AbortSignal): Promise<void> {
    return this.lane(kind).free(signal)
  }

  /** As `free`, for the sweep: it also resolves where the rule's statements cannot run. @returns whether a batch may be brought */
  async admits(kind: string, signal: AbortSignal): Promise<boolean> {
    await this.lane(kind).freeOrSuspended(signal)
    return !signal.aborted && !this.lane(kind).suspended
  }

  /** How many orders of this kind a claim may take now. */
  batchSize(kind: string, via?: 'sweep'): number {
    const { batchSize, runsOwnCode } = this.rules.get(kind) as BoundRule
    return this.lane(kind).batch(via === 'sweep' && !runsOwnCode ? SWEPT_TOGETHER * batchSize : batchSize)
  }

  /** How many batches are in hand. */
  get busy(): number {
    return this.inHand.size
  }

  /** Settles what was claimed. Never rejects. */
  dispatch(work: Work): Promise<void> {
    if (work.ids.length === 0) return Promise.resolve()
    return this.keep(this.carryOut(work))
  }

  /** Delivers what is overdue. The sweep does not wait for it: the shop may be sending mail. */
  redeliver(rule: BoundRule): void {
    void this.keep(this.deliveries.redeliver(rule))
  }

  /**
   * Waits until nothing comes in any more and nothing is in hand. Batches that were claimed and not begun are given back at once, so that
   * others settle them. After the limit the work is told to give up, and what it had claimed is given back too.
   */
  async drain(intake: Promise<unknown>, limitMs: number): Promise<void> {
    const timer = setTimeout(() => this.giveUp(), limitMs)
    this.leaving.abort()
    this.deliveries.stop()
    await within(limitMs, intake)
    while (this.inHand.size > 0) await Promise.all(this.inHand)
    clearTimeout(timer)
  }

  private keep(work: Promise<void>): Promise<void> {
    const done = work.finally(() => this.inHand.delete(done))
    this.inHand.add(done)
    return done
  }

  private giveUp(): void {
    this.givenUp = true
    for (const attempt of this.attempts) attempt.abort(new Error('the worker stops'))
  }

  /** Whether this order was claimed here a moment ago: its key's event is then our own. */
  claimedJustNow(kind: string, id: string): boolean {
    return this.recent.have(kind, id)
  }

  private async carryOut(work: Work): Promise<void> {
    const lane = this.lane(work.kind)
    const rule = this.rules.get(work.kind) as BoundRule
    const turn = lane.enter(this.leaving.signal)
    if (work.via !== 'event') this.recent.add(work)
    const endRenewal = work.lease.renewed()
    const dispositions: Disposition[] = []
    let begun = false
    try {
      begun = await turn
      if (begun && work.dueAt !== undefined) await until(work.dueAt)
      if (begun) await this.settle(rule, work, work.ids, dispositions)
      else for (const id of work.ids) dispositions.push({ id, delayMs: 0 })
    } catch (error) {
      await this.ruleHealth.failed(rule, 'internal', error) // nothing else is thrown here; what was settled stays settled
    } finally {
      if (begun) lane.leave() // the database is free for the next batch while this one's claim is ended
      endRenewal()
      await this.finish(work, dispositions)
    }
  }

  /** What Redis did not answer to is said again before the next claim; at the latest the lease ends by itself. */
  private async finish(work: Work, dispositions: Disposition[]): Promise<void> {
    try {
      await work.finish(dispositions)
    } catch (error) {
      this.log('debug', `${work.kind}: a claim was not ended as yet`, { kind: work.kind, error: errorText(error) })
    }
  }

  private async settle(rule: BoundRule, work: Work, ids: string[], dispositions: Disposition[]): Promise<void> {
    if (this.givenUp) return this.putBack(rule, ids, undefined, dispositions)
    if (await this.hasLapsed(work, ids)) return
    const begunAt = new Moment()
    let settlement: Settlement
    const attempt = { deadlineOf: work.deadlineOf, via: work.via, worker: this.dependencies.worker, inRule: false }
    try {
      settlement = await this.limited(rule, (signal) => rule.settle(ids, Object.assign(attempt, { signal })))
    } catch (error) {
      const slow = (error instanceof TookTooLong && !attempt.inRule) || sqlStateOf(error) === QUERY_CANCELED
      if (slow) this.lane(rule.kind).halve(ids.length)
      const whose = slow ? 'database' : await this.whose(rule, error, attempt.inRule)
      if (whose !== 'rule' || this.givenUp) await this.putBack(rule, ids, error, dispositions, whose)
      else if (ids.length > 1) {
        const middle = Math.ceil(ids.length / 2)
        await this.settle(rule, work, ids.slice(0, middle), dispositions)
        await this.settle(rule, work, ids.slice(middle), dispositions)
      } else if (await this.hasLapsed(work, ids)) return
      else await this.fail(rule, work, ids[0] as string, error, dispositions)
      return
    }
    this.lane(rule.kind).recovered(ids.length)
    this.ruleHealth.settled(rule)
    this.account(rule, work, settlement, dispositions)
    const delivered = await this.deliveries.deliver(rule, settlement.pendingDeliveries ?? [], begunAt)
    if (delivered && rule.reminder && settlement.settled.length > 0) this.tellReminded(rule.reminder, work, settlement.settled)
  }

  /**
   * Whether these orders are no longer known to be ours, because the process stood still or Redis did not answer. Then nothing is begun for
   * them and no attempt is counted: another claim, or a sweep, has them or will have them.
   */
  private async hasLapsed({ kind, lease }: Work, ids: readonly string[]): Promise<boolean> {
    if (lease.held || (await lease.renew())) return false
    this.log('warn', `${kind}: the claim of ${ids.length} orders lapsed before they were settled; they are claimed again`, {
      code: 'LEASE_LAPSED',
      kind,
      count: ids.length,
    })
    return true
  }

  /** Where only a look can tell a statement that cannot run from a row that it fails on, Postgres is asked. */
  private async whose({ row }: BoundRule, error: unknown, inRule: boolean): Promise<FaultOwner> {
    const whose = faultOwnerOf(error, inRule)
    if (whose !== 'rule' || inRule || !row || !isDoubtful(error)) return whose
    return row.check().then(
      () => 'rule',
      (wrong: unknown) => (faultOwnerOf(wrong) === 'configuration' ? 'configuration' : 'rule'),
    )
  }

  /** Gives the rule its time: the signal first, and then the slot, although the rule's promise may never settle. */
  private async limited<T>(rule: BoundRule, settle: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const attempt = new AbortController()
    const cancel = afterRunning(rule.timeoutMs, () =>
      attempt.abort(new TookTooLong(`"${rule.kind}" took longer than its timeout of ${rule.timeoutMs} ms`)),
    )
    this.attempts.add(attempt)
    const aborted = new Promise<never>((_, reject) => {
      attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason))
    })
    try {
      return await Promise.race([settle(attempt.signal), aborted])
    } finally {
      cancel()
      this.attempts.delete(attempt)
    }
  }

  private account(rule: BoundRule, work: Work, settlement: Settlement, dispositions: Disposition[]): void {
    const { kind } = rule
    const counters = this.counters.get(kind) as KindCounters
    for (const name of ['settled', 'early', 'locked', 'held', 'gone'] as const) counters[name] += settlement[name].length
    counters.cleared += settlement.cleared ?? 0
    if (work.via === 'event') this.undatedKeys.tell(rule, settlement.undated ?? [])
    for (const id of settlement.gone) dispositions.push({ id, gone: true })
    for (const { id, remainingMs } of settlement.early) dispositions.push({ id, delayMs: Math.max(1, remainingMs) })
    for (const id of settlement.locked) dispositions.push({ id, delayMs: this.lockWaits.next(kind, id) })
    // No sweep would find again what is in Redis alone.
    for (const id of settlement.held) dispositions.push({ id, delayMs: isSwept(rule) ? undefined : this.lockWaits.next(kind, id) })
    this.lockWaits.forget(kind, settlement.settled)
    this.noteLocks(kind, settlement)
    for (const order of settlement.settled)
      if (order.latenessMs === null && order.deadline !== null) order.latenessMs = this.dependencies.lateness(rule, order.deadline)
    if (settlement.settled.length > 0 && !rule.reminder) this.tell(rule, work, settlement.settled)
    for (const { kind, id, deadlineMs } of settlement.startedTimers ?? []) this.dependencies.arm(kind, id, deadlineMs)
    if (settlement.dryRun) this.dryRun.tell(work, settlement.dryRun)
    if (settlement.braked !== undefined) this.noteBrake(rule, settlement.braked)
  }

  private noteLocks(kind: string, { settled, locked, gone, early, held }: Settlement): void {
    const { lockedRows } = this.dependencies
    if (!lockedRows) return
    lockedRows.note(kind, locked)
    if (!lockedRows.knows(kind)) return
    lockedRows.forget(kind, [...settled.map(({ id }) => id), ...gone, ...early.map(({ id }) => id), ...held])
  }

  /** Whether the rule's brake has stopped it, as somebody has just seen. */
  noteBrake({ kind, row }: BoundRule, braked: boolean): void {
    if (!braked) {
      this.faults.clear('BRAKED', kind)
      return
    }
    this.faults.raise('BRAKED', {
      kind,
      message: `${kind}: stopped, since it would settle ${row?.brake?.inWords}`,
      remedy: `look at what it settles, then release it (order-timers release ${kind})`,
    })
  }

  private tell(rule: BoundRule, work: Work, orders: SettledOrder[]): void {
    this.log('info', () => summary(rule, orders), { kind: rule.kind, via: work.via, count: orders.length })
    if (this.log.debugs) {
      for (const { id, latenessMs } of orders)
        this.log('debug', () => describe(rule, id), { kind: rule.kind, id, via: work.via, latenessMs })
    }
    this.events.tell('settled', { kind: rule.kind, via: work.via, orders })
  }

  private tellReminded({ of: kind, label }: { of: string; label: string }, { via }: Work, orders: SettledOrder[]): void {
    this.log('info', `${kind}: ${orders.length} reminded, ${label} before`, { kind, via, count: orders.length })
    this.events.tell('reminded', { kind, before: label, via, orders })
  }

  /** Trouble that is not the rule's: no attempt is counted, the kind rests, and the orders come back. */
  private async putBack(
    rule: BoundRule,
    ids: string[],
    error: unknown,
    dispositions: Disposition[],
    whose: FaultOwner = 'database',
  ): Promise<void> {
    const delayMs = this.givenUp ? 0 : whose === 'rule' ? this.lane(rule.kind).rest() : await this.ruleHealth.failed(rule, whose, error)
    for (const id of ids) dispositions.push({ id, delayMs })
  }

  private async fail(rule: BoundRule, work: Work, id: string, error: unknown, dispositions: Disposition[]): Promise<void> {
    const earlier = await work.failures([id]).catch(() => new Map<string, Failure>())
    const attempts = (earlier.get(id)?.attempts ?? 0) + 1
    const dead = attempts >= rule.attempts
    const failure: Failure = { attempts, error: errorText(error), at: new Date().toISOString(), dead }
    const retryInMs = retryDelayMs(attempts)
    dispositions.push({ id, delayMs: dead ? undefined : retryInMs, failure })
    this.failures.tell(rule, id, error, attempts, dead ? 'dead' : { retryInMs })
  }

  private lane(kind: string): Lane {
    return this.lanes.get(kind) as Lane
  }
}

/** Until a moment of `performance.now()` that is a few milliseconds away: more exactly than timers are, whose unit is the millisecond. */
async function until(moment: number): Promise<void> {
  const whole = Math.floor(moment - performance.now())
  if (whole > 0) await setTimer(whole)
  while (performance.now() < moment) await nextTurn()
}

/** The reason of an abort at the rule's timeout. */
class TookTooLong extends Error {}
