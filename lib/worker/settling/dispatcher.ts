// The only way to settle orders: every path passes its claims to the dispatcher. It waits for a free place in the rule's lane, has the claim
// settled, and ends it with the dispositions of the rest. It never rejects and never drops an order.

import { setMaxListeners } from 'node:events'
import { setTimeout as setTimer } from 'node:timers/promises'
import { errorText } from '../../error-text.js'
import type { Disposition } from '../../redis/leases.js'
import type { SharedPace } from '../../redis/shared-pace.js'
import type { BoundRule } from '../../rules/rule.js'
import { within } from '../../wait.js'
import { isVerified, type VerifiedRule, VerifyingStage } from '../verifying/stage.js'
import { CatchUp } from './catch-up.js'
import { Deliveries } from './deliveries.js'
import { Lanes } from './lanes.js'
import { Outcomes, type OutcomesDependencies } from './outcomes.js'
import { RecentClaims } from './recent-claims.js'
import { RuleHealth } from './rule-health.js'
import { Settler, type SettlerDependencies } from './settler.js'
import { TimeLimits } from './time-limits.js'
import type { Work } from './work.js'

/**
 * A sweep's batch is this many times an ordinary one, for rules without the shop's code. Its orders are already late: throughput
 * matters more than latency.
 */
const SWEEP_FACTOR = 2

/** How long the end waits for the intake: a sweep may wait for a connection of an exhausted pool, and what it still claims is put back. */
const INTAKE_MS = 3_000

/** And for batches that were aborted: what they still write may wait for the same. */
const LAST_MS = 1_500

/** What goes back for this long wakes the alarm. */
const AT_ONCE_MS = 1

export interface DispatcherDependencies extends Omit<OutcomesDependencies, 'rest'> {
  rules: ReadonlyMap<string, BoundRule>
  concurrency: (rule: BoundRule) => number
  /** The share of the shop's pool that a backlog may use: more than 0, at most 1. */
  catchUp: number
  /** This worker's name, for the history. */
  worker: string
  tracer: SettlerDependencies['tracer']
  /** Limits `verify.perSecond` for all workers together; undefined with `redis: false`. */
  pace?: SharedPace | undefined
}

export class Dispatcher {
  readonly ruleHealth: RuleHealth
  /** The stage that rules with `verify` pass first. */
  readonly verifying: VerifyingStage
  private readonly lanes: Lanes
  private readonly running = new Set<Promise<void>>()
  private readonly recentClaims = new RecentClaims()
  private readonly leaving = new AbortController()
  private readonly timeLimits = new TimeLimits()
  private readonly deliveries: Deliveries
  private readonly settler: Settler
  private readonly catchUp: CatchUp

  constructor(private readonly dependencies: DispatcherDependencies) {
    const { rules, concurrency, catchUp, reporter, worker, tracer, pace } = dependencies
    this.catchUp = new CatchUp(catchUp)
    const { timeLimits } = this
    const lanes = new Lanes(rules.values(), concurrency)
    setMaxListeners(0, this.leaving.signal) // each batch that was claimed ahead may add a listener
    const ruleHealth = new RuleHealth(reporter.faults, lanes)
    const deliveries = new Deliveries({ reporter, ruleHealth, timeLimits })
    const outcomes = new Outcomes({ ...dependencies, rest: (rule, restMs) => lanes.of(rule).rest(restMs) })
    this.settler = new Settler({ worker, lanes, timeLimits, outcomes, deliveries, ruleHealth, reporter, tracer })
    this.verifying = new VerifyingStage({ rules: rules.values(), reporter, pace, leaving: this.leaving.signal })
    this.lanes = lanes
    this.ruleHealth = ruleHealth
    this.deliveries = deliveries
  }

  /** How many batches and runs of redelivery are running. */
  get busy(): number {
    return this.running.size
  }

  /** Resolves when another batch of this rule may be claimed, or when `signal` is aborted. */
  free(rule: BoundRule, signal: AbortSignal): Promise<void> {
    const free = this.lanes.of(rule).free(signal)
    return isVerified(rule) ? free.then(() => this.verifying.admission(rule).free(signal)) : free
  }

  /** Whether another batch of this rule may be claimed now. */
  isFree(rule: BoundRule): boolean {
    return !isVerified(rule) && this.lanes.of(rule).isFree
  }

  /** As `free`, for the sweep: also resolves when the rule is suspended or rests. @returns whether a batch may be claimed */
  async admits(rule: BoundRule, signal: AbortSignal): Promise<boolean> {
    const lane = this.lanes.of(rule)
    await lane.freeOrSuspended(signal)
    if (signal.aborted || lane.suspended || lane.rests) return false
    return isVerified(rule) ? this.verifying.admission(rule).admits(signal) : true
  }

  /** A hold of this rule, or of all rules, may have ended: their alarms check again at once. */
  endRest(rule?: BoundRule): void {
    for (const each of rule ? [rule] : this.dependencies.rules.values()) this.lanes.of(each).endRest()
  }

  /** The present maximum for a claim of this rule. */
  batchSize(rule: BoundRule, via?: 'sweep'): number {
    const { batchSize, runsOwnCode } = rule
    if (isVerified(rule)) return this.lanes.of(rule).batch(this.verifying.admission(rule).size)
    return this.lanes.of(rule).batch(via === 'sweep' && !runsOwnCode ? SWEEP_FACTOR * batchSize : batchSize)
  }

  /** Whether this worker claimed the order a moment ago: then the expiry event of its key needs no claim. */
  claimedJustNow(kind: string, id: string): boolean {
    return this.recentClaims.has(kind, id)
  }

  /** Settles a claim. Never rejects. */
  dispatch(work: Work): Promise<void> {
    if (work.ids.length === 0) return Promise.resolve()
    return this.track(isVerified(work.rule) ? this.verify(work, work.rule) : this.process(work, []))
  }

  /** Puts a claim into the index, where it is due: an alarm takes it once there is a free place. @throws what the end of a claim throws */
  async putBack(work: Work): Promise<void> {
    if (work.ids.length > 0) await work.finish(work.ids.map((id) => ({ id, delayMs: AT_ONCE_MS })))
  }

  /** Delivers overdue entries in the background, since the shop's code may be slow. */
  redeliver(rule: BoundRule): void {
    void this.track(this.deliveries.redeliver(rule))
  }

  /**
   * Waits until `intake` has ended and nothing is running. Batches that were claimed and not begun are put back at once, so that other workers
   * settle them. After `limitMs` what is running is aborted, and put back too. Neither is waited for without a limit.
   */
  async drain(intake: Promise<unknown>, limitMs: number): Promise<void> {
    const timer = setTimeout(() => {
      this.settler.giveUp()
      this.timeLimits.abortAll(new Error('the worker stops'))
    }, limitMs)
    const endsAt = performance.now() + limitMs + LAST_MS
    this.leaving.abort()
    this.deliveries.stop()
    await within(Math.min(limitMs, INTAKE_MS), intake)
    await within(Math.max(LAST_MS, endsAt - performance.now()), this.ended())
    clearTimeout(timer)
  }

  private async ended(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running)
  }

  private track(work: Promise<void>): Promise<void> {
    const done = work.finally(() => this.running.delete(done))
    this.running.add(done)
    return done
  }

  /** A rule with `verify` settles only what the stage lets through. */
  private async verify(work: Work, rule: VerifiedRule): Promise<void> {
    const endRenewal = work.lease.renewed()
    if (work.dueAt !== undefined) await until(work.dueAt)
    const { ids, proofs, dispositions } = await this.verifying.verify(work, rule).catch(async (error) => {
      const delayMs = await this.ruleHealth.failed(rule, 'internal', error) // a bug, as below
      return { ids: [], proofs: undefined, dispositions: work.ids.map((id) => ({ id, delayMs })) }
    })
    endRenewal()
    if (ids.length > 0) await this.process({ ...work, ids, ...(proofs && { proofs }) }, dispositions)
    else await this.finish(work, dispositions)
  }

  /** @param dispositions of the claim's orders that must not be settled */
  private async process(work: Work, dispositions: Disposition[]): Promise<void> {
    const lane = this.lanes.of(work.rule)
    const turn = lane.enter(this.leaving.signal)
    if (work.via !== 'event') this.recentClaims.add(work)
    const endRenewal = work.lease.renewed()
    let begun = false
    let giveBack: (() => void) | undefined
    try {
      begun = await turn
      if (begun && work.isBacklog) giveBack = await this.catchUp.enter(work.rule, this.leaving.signal)
      const settles = begun && (!work.isBacklog || giveBack !== undefined)
      if (settles && work.dueAt !== undefined) await until(work.dueAt)
      if (settles) await this.settler.settle(work, work.ids, dispositions)
      else for (const id of work.ids) dispositions.push({ id, delayMs: 0 })
    } catch (error) {
      // A bug: the settler throws nothing else. What it settled goes back too, and its row shows that it is settled.
      const delayMs = await this.ruleHealth.failed(work.rule, 'internal', error)
      const disposed = new Set(dispositions.map(({ id }) => id))
      for (const id of work.ids) if (!disposed.has(id)) dispositions.push({ id, delayMs })
    } finally {
      giveBack?.()
      if (begun) lane.leave() // the next batch may use the database while this claim is being ended
      endRenewal()
      await this.finish(work, dispositions)
    }
  }

  /** If Redis does not answer, the message is sent again before the next claim; at the latest the lease ends by itself. */
  private async finish(work: Work, dispositions: Disposition[]): Promise<void> {
    const { kind } = work.rule
    try {
      await work.finish(dispositions)
    } catch (error) {
      this.dependencies.reporter.log('debug', `${kind}: Redis did not confirm the end of a claim`, { kind, error: errorText(error) })
    }
  }
}

/** Waits until a time of `performance.now()` a few milliseconds away, more precisely than Node's timers. */
async function until(moment: number): Promise<void> {
  const whole = Math.floor(moment - performance.now())
  if (whole > 0) await setTimer(whole)
  // By callbacks: with a promise for each of the hundreds of turns, the garbage collector would interrupt the worker more often.
  await new Promise<void>((resolve) => {
    const turn = () => void (performance.now() < moment ? setImmediate(turn) : resolve())
    turn()
  })
}
