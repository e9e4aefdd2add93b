// `afterCommit` and reminders: the shop's code for orders whose settlement has committed. Without a history each order is delivered at
// most once. With one it is delivered until that succeeds, if necessary by another worker, each time with the same idempotency key.

import type { Model } from 'sequelize'
import { errorText } from '../../error-text.js'
import { Moment } from '../../moment.js'
import type { History, RecordedDelivery } from '../../rows/history.js'
import type { PendingDelivery } from '../../rows/settlement.js'
import type { BoundRule } from '../../rules/rule.js'
import { inTransaction } from '../../sequelize/database.js'
import type { Reporter } from '../reporter.js'
import { retryDelayMs } from './backoff.js'
import type { RuleHealth } from './rule-health.js'
import type { TimeLimits } from './time-limits.js'

const LIMITS = { lockMs: 300, statementMs: 5_000, idleMs: 10_000 }
const WORK = '"afterCommit"'

export interface DeliveriesDependencies {
  reporter: Reporter
  ruleHealth: RuleHealth
  timeLimits: TimeLimits
}

export class Deliveries {
  private readonly redelivering = new Set<string>()
  private stopped = false

  constructor(private readonly dependencies: DeliveriesDependencies) {}

  /**
   * The first delivery of orders that were settled just now. Never rejects.
   * @param settledSince a moment before the history recorded when another worker may redeliver
   * @returns whether the shop's own work succeeded
   */
  async deliver(rule: BoundRule, pending: readonly PendingDelivery[], settledSince: Moment): Promise<boolean> {
    const { afterCommit, history } = rule.row ?? {}
    const { reporter, timeLimits } = this.dependencies
    if (!afterCommit || pending.length === 0) return true
    if (history && (timeLimits.over || settledSince.passedMs() > history.firstWithinMs)) return this.leave(rule, pending.length)
    const orders = pending.map(({ order }) => order)
    const idempotencyKeys = pending.map(({ idempotencyKey }) => idempotencyKey)
    try {
      await timeLimits.run(rule, async (signal) => afterCommit(orders, { idempotencyKeys, signal }))
    } catch (error) {
      if (history) await this.fail(rule, history, pending, 1, error)
      else for (const { id } of pending) reporter.failed(rule, { id, error, attempts: 1, next: 'never', work: rule.reminder ? '' : WORK })
      return false
    }
    if (history) await this.note(rule, () => history.markDelivered(pending.map(({ entry }) => entry)))
    return true
  }

  /** Delivers overdue entries one by one: their worker died, or `afterCommit` failed. One run for each rule at a time. Never rejects. */
  async redeliver(rule: BoundRule): Promise<void> {
    const { kind, row } = rule
    const { history } = row ?? {}
    if (!row?.afterCommit || !history || this.redelivering.has(kind)) return
    // The order is read in the transaction that reads the history, so on the primary: on a lagging replica its row may be missing.
    const take = () =>
      inTransaction(row.guard.table.sequelize, LIMITS, async (transaction) => {
        const delivery = await history.takePendingDelivery(transaction)
        return delivery && { delivery, order: (await row.find?.(delivery.id, transaction)) ?? null }
      })
    this.redelivering.add(kind)
    try {
      while (!this.stopped) {
        const takenSince = new Moment()
        const taken = await take()
        this.dependencies.ruleHealth.taskSucceeded('deliveries', kind)
        if (!taken) break
        if (this.dependencies.timeLimits.over || takenSince.passedMs() > history.againWithinMs) this.leave(rule, 1)
        else await this.redeliverOne(rule, history, taken.delivery, taken.order)
      }
    } catch (error) {
      if (await this.dependencies.ruleHealth.taskFailed('deliveries', rule, error)) return
      this.dependencies.reporter.log('debug', `${kind}: overdue deliveries could not be read; the next sweep tries again`, {
        kind,
        error: errorText(error),
      })
    } finally {
      this.redelivering.delete(kind)
    }
  }

  /** Begins no further redelivery. */
  stop(): void {
    this.stopped = true
  }

  private async redeliverOne(rule: BoundRule, history: History, delivery: RecordedDelivery, order: Model | null): Promise<void> {
    const { id, idempotencyKey, attempts, entry } = delivery
    if (!order) {
      const gone = `its row is gone, so ${WORK} does not get it`
      this.dependencies.reporter.log('warn', `${rule.kind} ${id}: ${gone}`, { code: 'ORDER_GONE', kind: rule.kind, id })
      return this.note(rule, () => history.markFailed([entry], gone, undefined, attempts))
    }
    try {
      await this.dependencies.timeLimits.run(rule, async (signal) =>
        rule.row?.afterCommit?.([order], { idempotencyKeys: [idempotencyKey], signal }),
      )
    } catch (error) {
      return this.fail(rule, history, [delivery], attempts, error)
    }
    await this.note(rule, () => history.markDelivered([entry]))
  }

  /** The process stood still so long that another worker may have begun to redeliver, or no longer waits for the shop's code: a sweep delivers. */
  private leave({ kind }: BoundRule, count: number): false {
    const message = `${kind}: ${WORK} of ${count} orders is left to a sweep, because this process stood still or stops`
    this.dependencies.reporter.log('warn', message, { code: 'LEASE_LAPSED', kind, count })
    return false
  }

  private async fail(
    rule: BoundRule,
    history: History,
    deliveries: readonly { id: string; entry: string }[],
    attempts: number,
    error: unknown,
  ): Promise<void> {
    const retryInMs = retryDelayMs(attempts)
    const dead = attempts >= rule.attempts
    const entries = deliveries.map(({ entry }) => entry)
    await this.note(rule, () => history.markFailed(entries, errorText(error), dead ? undefined : retryInMs, attempts))
    const next = dead ? 'dead' : { retryInMs }
    for (const { id } of deliveries) this.dependencies.reporter.failed(rule, { id, error, attempts, next, work: WORK })
  }

  /** If the result cannot be written, the orders are delivered again later, with the same key. */
  private async note(rule: BoundRule, write: () => Promise<void>): Promise<void> {
    const { kind } = rule
    // A second try, on another connection: Postgres ends the transaction of a process that stands still. Writing twice is harmless.
    await write()
      .catch(write)
      .catch(async (error) => {
        this.dependencies.reporter.log('warn', `${kind}: the result of ${WORK} could not be noted (${errorText(error)})`, {
          code: 'NOT_NOTED',
          kind,
        })
        await this.dependencies.ruleHealth.taskFailed('deliveries', rule, error)
      })
  }
}
