// `afterCommit`: what a rule tells of orders once they are settled for good. Without history that is done once, as well as may be; with
// it until it has succeeded, also by another worker, under the same idempotency key.

import type { Log } from '../logger.js'
import { inTransaction } from '../rules/database.js'
import type { Untold } from '../rules/history.js'
import type { BoundRule, RowRule } from '../rules/rule.js'
import type { Told } from '../rules/settlement.js'
import { retryDelayMs } from './backoff.js'
import { errorText, type WorkerEmitter } from './events.js'

/** How many are told again in one sweep, at most. */
const MOST_AT_ONCE = 1_000
const LIMITS = { lockMs: 300, statementMs: 5_000, idleMs: 10_000 }

/** Beyond the rule's timeout: how long another worker leaves alone what one has taken to tell. */
const MARGIN_MS = 5_000

export class Deliveries {
  constructor(
    private readonly events: WorkerEmitter,
    private readonly log: Log,
    private readonly limited: <T>(rule: BoundRule, work: (signal: AbortSignal) => Promise<T>) => Promise<T>,
  ) {}

  /** Tells of what was settled just now. Never rejects. */
  async tell(rule: BoundRule, told: readonly Told[]): Promise<void> {
    const { afterCommit, history } = rule.row ?? {}
    if (!afterCommit || told.length === 0) return
    const idempotencyKeys = told.map(({ idempotencyKey }) => idempotencyKey)
    const entries = told.flatMap(({ entry }) => (entry === undefined ? [] : [entry]))
    try {
      await this.limited(rule, async (signal) =>
        afterCommit(
          told.map(({ order }) => order),
          { idempotencyKeys, signal },
        ),
      )
      if (history && entries.length > 0) await history.told(entries)
    } catch (error) {
      const what = history ? 'each is told again by a later sweep' : 'without "history" it is not tried again'
      this.log('warn', `${rule.kind}: "afterCommit" failed for ${told.length} orders (${errorText(error)}); ${what}`, { kind: rule.kind })
    }
  }

  /** Tells, one by one, what should have been told by now: a worker died, or "afterCommit" failed. @returns how many were taken */
  async tellAgain(rule: BoundRule): Promise<number> {
    const { row } = rule
    const { afterCommit, history } = row ?? {}
    if (!row || !afterCommit || !history) return 0
    const { sequelize } = row.guard.table
    const untold = await inTransaction(sequelize, LIMITS, (transaction) =>
      history.takeUntold(MOST_AT_ONCE, rule.timeoutMs + MARGIN_MS, transaction),
    )
    for (const one of untold) await this.tellOne(rule, row, one)
    return untold.length
  }

  private async tellOne(rule: BoundRule, row: RowRule, untold: Untold): Promise<void> {
    const { afterCommit, history } = row
    const { kind } = rule
    const { orderId: id, attempts } = untold
    try {
      const order = await row.find(id, undefined)
      // A row that is gone has nothing that could be told of it.
      if (order) await this.limited(rule, async (signal) => afterCommit?.([order], { idempotencyKeys: [untold.idempotencyKey], signal }))
      await history?.told([untold.entry])
    } catch (error) {
      const retryInMs = retryDelayMs(attempts)
      const last = await history?.failed(untold, errorText(error), retryInMs).catch(() => false)
      this.log(last ? 'error' : 'warn', `${kind} ${id}: "afterCommit" failed, attempt ${attempts}: ${errorText(error)}`, {
        kind,
        id,
        attempts,
      })
      if (last) this.events.tell('dead', { kind, id, error, attempts })
      else this.events.tell('failed', { kind, id, error, attempts, retryInMs })
    }
  }
}
