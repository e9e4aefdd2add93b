// `afterCommit`, and what reminders tell: the shop's own work on orders once they are settled for good. Without history it is done once, as
// well as may be; with it until it has succeeded, also by another worker, under the same idempotency key.

import type { Model } from 'sequelize'
import { Moment } from '../../elapsed.js'
import type { Log } from '../../logger.js'
import type { History, RecordedDelivery } from '../../rows/history.js'
import type { PendingDelivery } from '../../rows/settlement.js'
import type { BoundRule } from '../../rules/rule.js'
import { inTransaction } from '../../sequelize/database.js'
import { errorText } from '../events.js'
import { retryDelayMs } from './backoff.js'
import type { Failures } from './failures.js'
import type { Troubles } from './troubles.js'

const LIMITS = { lockMs: 300, statementMs: 5_000, idleMs: 10_000 }
const WORK = '"afterCommit"'

export class Deliveries {
  private readonly telling = new Set<string>()
  private stopped = false

  constructor(
    private readonly failures: Failures,
    private readonly log: Log,
    private readonly troubles: Troubles,
    private readonly limited: <T>(rule: BoundRule, work: (signal: AbortSignal) => Promise<T>) => Promise<T>,
  ) {}

  /**
   * Tells of what was settled just now. Never rejects.
   * @param settledSince a moment before the history noted that another worker may redeliver
   * @returns whether the shop's own work succeeded
   */
  async tell(rule: BoundRule, told: readonly PendingDelivery[], settledSince: Moment): Promise<boolean> {
    const { afterCommit, history } = rule.row ?? {}
    if (!afterCommit || told.length === 0) return true
    if (history && settledSince.passedMs() > history.firstWithinMs) return this.leave(rule, told.length)
    const orders = told.map(({ order }) => order)
    const idempotencyKeys = told.map(({ idempotencyKey }) => idempotencyKey)
    try {
      await this.limited(rule, async (signal) => afterCommit(orders, { idempotencyKeys, signal }))
    } catch (error) {
      if (history) await this.putOff(rule, history, told, 1, error)
      else for (const { id } of told) this.failures.tell(rule, id, error, 1, 'once', rule.reminder ? '' : WORK)
      return false
    }
    if (history) await this.note(rule, () => history.markDelivered(told.map(({ entry }) => entry)))
    return true
  }

  /** Tells, one by one, what should have been told by now: a worker died, or "afterCommit" failed. Never rejects. */
  async redeliver(rule: BoundRule): Promise<void> {
    const { kind, row } = rule
    const { history } = row ?? {}
    if (!row?.afterCommit || !history || this.telling.has(kind)) return
    // The order is read where the history was written, in the same transaction: no replica that lags can say that its row is gone.
    const take = () =>
      inTransaction(row.guard.table.sequelize, LIMITS, async (transaction) => {
        const pending = await history.takePendingDelivery(transaction)
        return pending && { pending, order: await row.find(pending.id, transaction) }
      })
    this.telling.add(kind)
    try {
      while (!this.stopped) {
        const takenSince = new Moment()
        const taken = await take()
        this.troubles.works('deliveries', kind)
        if (!taken) break
        if (takenSince.passedMs() > history.againWithinMs) this.leave(rule, 1)
        else await this.tellOne(rule, history, taken.pending, taken.order)
      }
    } catch (error) {
      if (await this.troubles.noteOf('deliveries', rule, error)) return
      this.log('debug', `${kind}: what is to be told could not be read; the next sweep tries again`, { kind, error: errorText(error) })
    } finally {
      this.telling.delete(kind)
    }
  }

  /** Takes nothing new in hand. */
  stop(): void {
    this.stopped = true
  }

  private async tellOne(rule: BoundRule, history: History, pending: RecordedDelivery, order: Model | null): Promise<void> {
    const { id, idempotencyKey, attempts, entry } = pending
    if (!order) {
      const gone = `its row is gone, so ${WORK} cannot be told of it`
      this.log('warn', `${rule.kind} ${id}: ${gone}`, { code: 'ORDER_GONE', kind: rule.kind, id })
      return this.note(rule, () => history.markFailed([entry], gone, undefined))
    }
    try {
      await this.limited(rule, async (signal) => rule.row?.afterCommit?.([order], { idempotencyKeys: [idempotencyKey], signal }))
    } catch (error) {
      return this.putOff(rule, history, [pending], attempts, error)
    }
    await this.note(rule, () => history.markDelivered([entry]))
  }

  /** This process stood still for so long that another worker may be telling of it: nothing is begun, and a sweep tells of it. */
  private leave({ kind }: BoundRule, count: number): false {
    const message = `${kind}: ${WORK} of ${count} orders is left to a sweep, since this process stood still`
    this.log('warn', message, { code: 'LEASE_LAPSED', kind, count })
    return false
  }

  private async putOff(
    rule: BoundRule,
    history: History,
    pending: readonly { id: string; entry: string }[],
    attempts: number,
    error: unknown,
  ): Promise<void> {
    const retryInMs = retryDelayMs(attempts)
    const dead = attempts >= rule.attempts
    const entries = pending.map(({ entry }) => entry)
    await this.note(rule, () => history.markFailed(entries, errorText(error), dead ? undefined : retryInMs))
    for (const { id } of pending) this.failures.tell(rule, id, error, attempts, dead ? 'dead' : { retryInMs }, WORK)
  }

  /** What could not be written is told once more, under the same key. */
  private async note(rule: BoundRule, write: () => Promise<void>): Promise<void> {
    const { kind } = rule
    // Once more on another connection: Postgres ends a transaction whose process stands still. To write it twice harms nothing.
    await write()
      .catch(write)
      .catch(async (error) => {
        this.log('warn', `${kind}: what was told could not be noted (${errorText(error)})`, { code: 'NOT_NOTED', kind })
        await this.troubles.noteOf('deliveries', rule, error)
      })
  }
}
