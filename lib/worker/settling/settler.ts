// Settles one claim by its rule. A batch on which the rule fails is halved until the failing order is alone; only then an attempt is counted.
// Other failures count no attempt. It never drops an order: whatever is not settled gets a disposition.

import { shortErrorText, stackText } from '../../error-text.js'
import { Moment } from '../../moment.js'
import { redactedCause } from '../../redacted-cause.js'
import type { Failure } from '../../redis/failed-timers.js'
import type { Disposition } from '../../redis/leases.js'
import type { Settlement } from '../../rows/settlement.js'
import type { BoundRule } from '../../rules/rule.js'
import { type FaultOwner, faultOwnerOf, isDoubtful, isOfConstraint, sqlStateOf } from '../../sequelize/fault-owner.js'
import { QUERY_CANCELED } from '../../sequelize/sqlstates.js'
import type { Tracer } from '../../tracer.js'
import type { Reporter } from '../reporter.js'
import { retryDelayMs } from './backoff.js'
import type { Deliveries } from './deliveries.js'
import type { Lanes } from './lanes.js'
import type { Outcomes } from './outcomes.js'
import type { RuleHealth } from './rule-health.js'
import { type TimeLimits, TookTooLong } from './time-limits.js'
import type { Work } from './work.js'

export interface SettlerDependencies {
  /** This worker's name, for the history. */
  worker: string
  lanes: Lanes
  timeLimits: TimeLimits
  outcomes: Outcomes
  deliveries: Deliveries
  ruleHealth: RuleHealth
  reporter: Reporter
  /** Undefined unless the shop uses tracing. */
  tracer(): Tracer | undefined
}

export class Settler {
  private givenUp = false
  /** By kind: when a constraint refused rows, and the check found the rule right. */
  private readonly foundRight = new Map<string, number>()

  constructor(private readonly dependencies: SettlerDependencies) {}

  /**
   * Rejects only because of a bug in this package; what it settled before that stays settled.
   * @param dispositions gets those of the orders that are not settled
   */
  async settle(work: Work, ids: string[], dispositions: Disposition[]): Promise<void> {
    const { rule } = work
    if (this.givenUp) return putBack(ids, 0, dispositions)
    if (await this.leaseExpired(work, ids, dispositions)) return
    const { worker, lanes, timeLimits, ruleHealth, outcomes, deliveries, reporter } = this.dependencies
    const begunAt = new Moment()
    const startedAt = performance.now()
    const attempt = { deadlineOf: work.deadlineOf, via: work.via, worker, inRule: false, proofs: work.proofs }
    const batch = this.dependencies.tracer()?.batch(rule.kind, ids.length, work.via)
    const settle = () => timeLimits.run(rule, (signal) => rule.settle(ids, Object.assign(attempt, { signal })))
    let settlement: Settlement
    try {
      settlement = await (batch ? batch.run(settle) : settle())
    } catch (error) {
      batch?.fail(error)
      return this.settleAfterError(work, ids, { error, inRule: attempt.inRule }, dispositions)
    }
    const tookMs = performance.now() - startedAt
    reporter.batch(rule.kind, ids.length, tookMs)
    lanes.of(rule).recovered(ids.length, tookMs)
    ruleHealth.settled(rule)
    outcomes.take(work, settlement, dispositions)
    const deliver = () => deliveries.deliver(rule, settlement.pendingDeliveries ?? [], begunAt)
    const delivered = await (batch ? batch.run(deliver) : deliver())
    batch?.end(settlement.settled)
    if (delivered && rule.reminder && settlement.settled.length > 0) reporter.reminded(rule.reminder, work.via, settlement.settled)
  }

  /** From now on puts orders back without settling them. */
  giveUp(): void {
    this.givenUp = true
  }

  /** @param inRule whether the shop's code was running */
  private async settleAfterError(
    work: Work,
    ids: string[],
    { error, inRule }: { error: unknown; inRule: boolean },
    dispositions: Disposition[],
  ): Promise<void> {
    const { rule } = work
    const { lanes, ruleHealth } = this.dependencies
    lanes.of(rule).shrink()
    const isSlow = (error instanceof TookTooLong && !inRule) || sqlStateOf(error) === QUERY_CANCELED
    if (isSlow) lanes.of(rule).halve(ids.length)
    const owner = isSlow ? 'database' : await this.ownerOf(rule, error, inRule)
    if (this.givenUp) return putBack(ids, 0, dispositions)
    if (owner !== 'rule') return putBack(ids, await ruleHealth.failed(rule, owner, error), dispositions)
    if (ids.length > 1) return this.settleHalves(work, ids, dispositions)
    if (await this.leaseExpired(work, ids, dispositions)) return
    // An error of the shop's own code is kept; an error of Postgres shows the refused row.
    await this.countAttempt(work, ids[0] as string, inRule ? error : redactedCause(error), dispositions)
  }

  private async settleHalves(work: Work, ids: string[], dispositions: Disposition[]): Promise<void> {
    const middle = Math.ceil(ids.length / 2)
    await this.settle(work, ids.slice(0, middle), dispositions)
    await this.settle(work, ids.slice(middle), dispositions)
  }

  /**
   * Some errors do not show whether the statement is wrong or one row fails: a constraint may refuse its values, or they refer to a row
   * that was deleted while the worker ran. Then the rule is checked.
   */
  private async ownerOf({ kind, row }: BoundRule, error: unknown, inRule: boolean): Promise<FaultOwner> {
    const owner = faultOwnerOf(error, inRule)
    const isConstraint = isOfConstraint(error)
    if (owner !== 'rule' || inRule || !row || !(isConstraint || isDoubtful(error))) return owner
    if (isConstraint && performance.now() < (this.foundRight.get(kind) ?? Number.NEGATIVE_INFINITY) + CHECK_HOLDS_MS) return owner
    try {
      await row.check()
      this.foundRight.set(kind, performance.now())
      return owner
    } catch (wrong) {
      return faultOwnerOf(wrong) === 'configuration' ? 'configuration' : owner
    }
  }

  /**
   * Whether this worker may have lost these orders, because the process stood still or Redis did not answer. Then nothing is begun for
   * them and no attempt is counted: they go back, unless another claim has taken them.
   */
  private async leaseExpired({ rule: { kind }, lease }: Work, ids: readonly string[], dispositions: Disposition[]): Promise<boolean> {
    if (lease.held || (await lease.renew())) return false
    for (const id of ids) dispositions.push({ id, lapsed: true })
    this.dependencies.reporter.leaseExpired(kind, ids.length)
    return true
  }

  private async countAttempt({ rule, failures }: Work, id: string, error: unknown, dispositions: Disposition[]): Promise<void> {
    const earlier = await failures([id]).catch(() => new Map<string, Failure>())
    const attempts = (earlier.get(id)?.attempts ?? 0) + 1
    const dead = attempts >= rule.attempts
    const retryInMs = retryDelayMs(attempts)
    const failure = failureOf(error, attempts, dead, earlier.get(id))
    dispositions.push({ id, delayMs: dead ? undefined : retryInMs, failure, ...(dead && { stack: stackText(error) }) })
    this.dependencies.reporter.failed(rule, { id, error, attempts, next: dead ? 'dead' : { retryInMs } })
  }
}

/** How long a check is valid for further rows that a constraint refuses: there may be hundreds in one batch. */
const CHECK_HOLDS_MS = 1_000

function failureOf(error: unknown, attempts: number, dead: boolean, earlier: Failure | undefined): Failure {
  const first = earlier && (earlier.first ?? { error: earlier.error, at: earlier.at })
  return { attempts, error: shortErrorText(error), at: new Date().toISOString(), dead, ...(first && { first }) }
}

function putBack(ids: readonly string[], delayMs: number, dispositions: Disposition[]): void {
  for (const id of ids) dispositions.push({ id, delayMs })
}
