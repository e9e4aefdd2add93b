// The sweep: settles every order that Postgres says is overdue, whatever Redis knows, and arms those that come due before the sweep after next.
// One pass by keyset, oldest first, so that a row that cannot be settled does not delay the rows after it. One rule's failure does not delay
// another rule.

import { errorText } from '../../error-text.js'
import { OrderTimersError } from '../../errors.js'
import { type BoundRule, isSwept, type OrderRule, type SweptRule } from '../../rules/rule.js'
import { faultOwnerOf } from '../../sequelize/fault-owner.js'
import { isPoolExhausted, POOL_REMEDY } from '../../sequelize/pool-exhausted.js'
import type { RuntimeRedis } from '../../timers/runtime.js'
import type { Reporter } from '../reporter.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'
import type { MemoryClaims } from '../settling/memory-claims.js'
import { isVerified } from '../verifying/stage.js'
import { VerifiedSweep } from '../verifying/verified-sweep.js'
import { LeftOrders } from './left-orders.js'
import { OccasionalCounts } from './occasional-counts.js'
import { OverdueOrders, type SettledOverdue } from './overdue-orders.js'
import { OverduePages } from './overdue-pages.js'
import type { SweepReads } from './reads.js'
import { maintainRows, NoDeadline } from './row-maintenance.js'
import { type CheckedOnlyRule, isCheckedOnly, passesCheck } from './rule-check.js'
import { StandingHolds } from './standing-holds.js'
import { type Transact, transactUntil } from './transact.js'
import { UpcomingTimers } from './upcoming-timers.js'

export interface SweepDependencies {
  rules: ReadonlyMap<string, BoundRule>
  dispatcher: Dispatcher
  memory: MemoryClaims
  /** Both undefined with `redis: false`. */
  redis: RuntimeRedis | undefined
  claims: IndexClaims | undefined
  reads: SweepReads
  prefix: string
  /** From now to the sweep after next, milliseconds. */
  horizonMs: () => number
  reporter: Reporter
  /** Whether repeated questions of `verify` run between sweeps. */
  comesBack: boolean
}

interface Totals {
  overdue: number
  armed: number
  horizonMs: number
}

interface Following {
  ended: Promise<void>
  end: () => void
}

function following(): Following {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  return { ended, end }
}

export class Sweep {
  lastEndedAt: Date | undefined
  private current: Promise<void> | undefined
  /** The sweep that was requested while `current` ran. */
  private following: Following | undefined
  private readonly stopping = new AbortController()
  /** Rules whose deadlines are on rows. */
  private readonly rules: readonly SweptRule[]
  /** Rules over rows whose deadlines Redis alone has. */
  private readonly checkedOnly: readonly CheckedOnlyRule[]
  /** Rules whose deadlines are only in Redis and that may be held. */
  private readonly unswept: readonly OrderRule[]
  private readonly transact: Transact
  private readonly overdue: OverdueOrders
  private readonly verified: VerifiedSweep
  private readonly holds: StandingHolds
  private readonly upcoming: UpcomingTimers
  private readonly leftOrders: LeftOrders
  private readonly counts: OccasionalCounts

  constructor(private readonly dependencies: SweepDependencies) {
    const { rules, dispatcher, memory, redis, claims, reads, prefix, horizonMs, reporter, comesBack } = dependencies
    const stopping = this.stopping.signal
    const transact = transactUntil(stopping)
    this.rules = [...rules.values()].filter(isSwept)
    this.checkedOnly = [...rules.values()].filter(isCheckedOnly)
    this.unswept = [...rules.values()].filter((rule): rule is OrderRule => rule.row?.deadline.in === 'redis')
    this.transact = transact
    const pages = new OverduePages({ reads, transact, stopping, prefix })
    this.overdue = new OverdueOrders({ pages, reads, dispatcher, memory, claims, connection: redis?.connection, stopping })
    const { overdue } = this
    const reportError = (rule: BoundRule, error: unknown) => this.reportError(rule, error)
    this.verified = new VerifiedSweep({ overdue, dispatcher, reads, reporter, stopping, comesBack, reportError })
    const sweepAgain = () => void this.run()
    this.holds = new StandingHolds({ prefix, reporter, dispatcher, stopping, comesBack, sweepAgain, reportError })
    this.upcoming = new UpcomingTimers({ redis, transact, stopping, horizonMs })
    this.leftOrders = new LeftOrders({ reporter, transact, stopping })
    this.counts = new OccasionalCounts(reporter, this.leftOrders, transact, reads)
  }

  /**
   * Runs a sweep; if one is running, another one after it. Never rejects.
   * @returns when that sweep has ended, regardless of later requests: sweeps may be requested faster than they end
   */
  run(): Promise<void> {
    if (!this.current) return this.begin()
    this.following ??= following()
    return this.following.ended
  }

  get running(): boolean {
    return this.current !== undefined
  }

  /** Whether rules could not be read because a session that is not a worker holds their lock. */
  get blocked(): boolean {
    return this.dependencies.reads.blocked
  }

  /** The oldest of the rules' last readings, and its reader. */
  get lastRead(): ReturnType<SweepReads['last']> {
    return this.dependencies.reads.last(this.rules.map(({ kind }) => kind))
  }

  /** Whether this one was the last to read the rule. Another session may hold the lock. */
  hasRead(kind: string): boolean {
    return this.dependencies.reads.last([kind])?.by === 'this worker'
  }

  /**
   * Arms what comes due before the sweep after next, of these kinds, while a sweep may run too.
   * @returns how many were missing and are armed now, including those that the sweep armed first; and the partitions that could not be armed completely
   */
  async armAgain(kinds: readonly string[]): Promise<{ armed: number; away: ReadonlySet<number> }> {
    const rules = this.rules.filter(({ kind }) => kinds.includes(kind))
    const armedSoFar = () => rules.reduce((sum, { kind }) => sum + this.upcoming.armedSoFar(kind), 0)
    const before = armedSoFar()
    const away = new Set<number>()
    for (const rule of rules) await this.upcoming.arm(rule, away)
    return { armed: armedSoFar() - before, away }
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    await Promise.all([this.current, this.verified.stop()])
    await this.holds.ended()
  }

  /** Resolves when all questions of earlier sweeps under `verify` are answered and settled. */
  verifiedToo(): Promise<void> {
    return this.verified.ended()
  }

  private begin(): Promise<void> {
    this.current = this.sweepAll().finally(() => {
      const { following: next } = this
      this.current = this.following = undefined
      if (!next) return
      if (this.stopping.signal.aborted) next.end()
      else void this.begin().then(next.end)
    })
    return this.current
  }

  private async sweepAll(): Promise<void> {
    const startedAt = performance.now()
    const totals: Totals = { overdue: 0, armed: 0, horizonMs: 0 }
    for (const rule of this.rules) {
      if (this.stopping.signal.aborted) break
      try {
        await this.sweepRule(rule, totals)
        this.dependencies.dispatcher.ruleHealth.swept(rule.kind)
      } catch (error) {
        if (!this.stopping.signal.aborted) await this.reportError(rule, error)
      }
    }
    for (const rule of this.unswept)
      if (!this.stopping.signal.aborted) await this.holds.stop(rule).catch((error) => this.reportError(rule, error))
    for (const rule of this.checkedOnly) await this.checkOnly(rule)
    this.lastEndedAt = new Date()
    this.dependencies.reporter.swept({ ...totals, durationMs: performance.now() - startedAt })
  }

  private async checkOnly(rule: CheckedOnlyRule): Promise<void> {
    if (this.stopping.signal.aborted) return
    const { dispatcher, reporter } = this.dependencies
    try {
      await passesCheck(rule, dispatcher.ruleHealth, reporter)
      dispatcher.ruleHealth.swept(rule.kind)
    } catch (error) {
      if (!this.stopping.signal.aborted) await this.reportError(rule, error)
    }
  }

  private async sweepRule(rule: SweptRule, totals: Totals): Promise<void> {
    const { dispatcher, reporter } = this.dependencies
    if (!(await passesCheck(rule, dispatcher.ruleHealth, reporter))) return
    const maintenanceError = await maintainRows(rule, { transact: this.transact, log: reporter.log, stopping: this.stopping.signal })
    const { overdue, stale } = await this.settleOverdue(rule)
    totals.overdue += overdue
    dispatcher.redeliver(rule)
    const armingSince = performance.now()
    totals.armed += await this.upcoming.arm(rule)
    totals.horizonMs += performance.now() - armingSince
    await this.leftOrders.clearDeadlines(rule) // last, because no order waits for it
    if (!rule.reminder) {
      if (stale) reporter.stale(rule.kind, stale)
      await this.counts.run(rule)
    }
    if (maintenanceError !== undefined) throw maintenanceError
  }

  private async settleOverdue(rule: SweptRule): Promise<SettledOverdue> {
    const isHeld = await this.holds.stop(rule)
    const isBraked = await this.isBraked(rule) // also while it is held, so that a released brake is no fault any more
    if (!isHeld && !isBraked) {
      if (!isVerified(rule)) return this.overdue.settle(rule)
      this.verified.begin(rule) // in the background: the sweep does not wait for the payment service
    }
    void this.dependencies.reads.read(rule.kind)
    return { overdue: 0, stale: await this.transact(rule.row, (transaction) => rule.row.deadline.pending.stale(transaction)) }
  }

  private async isBraked(rule: SweptRule): Promise<boolean> {
    const { brake } = rule.row
    if (!brake) return false
    const isBraked = (await brake.brakedAt()) !== null
    this.dependencies.reporter.braked(rule, isBraked)
    return isBraked
  }

  private async reportError(rule: BoundRule, error: unknown): Promise<void> {
    const { reporter, dispatcher } = this.dependencies
    const { kind } = rule
    if (error instanceof OrderTimersError && error.code === 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE') return
    const owner = error instanceof NoDeadline ? 'rule' : faultOwnerOf(error)
    if (owner === 'configuration' || owner === 'internal') {
      await dispatcher.ruleHealth.failed(rule, owner, error)
      return
    }
    if (reporter.faults.justWoke()) void this.run() // it probably failed because the process stood still
    const message = `${kind}: the sweep could not read or settle (${errorText(error)}); the next one tries again`
    reporter.faults.raise('SWEEP_FAILED', { kind, message, error, ...(isPoolExhausted(error) && { remedy: POOL_REMEDY }) })
  }
}
