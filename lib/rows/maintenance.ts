// What the sweep writes before it settles, for rows that nobody told us of: deadlines for orders that have none (`backfill`), and pauses by
// declaration (`pause.while`): the time that is left is put by when the condition begins to hold, and runs again when it holds no longer.

import type { Model, Transaction } from 'sequelize'
import { orderRows, rows } from '../sequelize/database.js'
import { milliseconds, NO_TIMER_AT, type RowGuard } from './guard.js'
import { instantSql } from './instants.js'
import type { RowOptions } from './row-options.js'

/** What one portion wrote. */
export interface MaintenanceCounts {
  backfilled: number
  paused: number
  resumed: number
}

/** An order whose deadline could not be reckoned, since the rule's `after` failed on it. */
export interface MaintenanceFailure {
  id: string
  error: unknown
}

export class Maintenance {
  private failure: MaintenanceFailure | undefined
  /** The last order that was asked for its deadline, where more are to be asked: those that `after` fails on do not come first again. */
  private reckoned: unknown

  constructor(
    private readonly guard: RowGuard,
    private readonly options: RowOptions,
    private readonly afterOf: (order: Model) => number | null,
  ) {}

  /** Whether there are orders that were not asked for yet, though of the last portion fewer were written. */
  get hasMore(): boolean {
    return this.reckoned !== undefined
  }

  /** The first failure since this was asked last. */
  takeFailure(): MaintenanceFailure | undefined {
    const { failure } = this
    this.failure = undefined
    return failure
  }

  /** One portion of at most `limit` rows of each sort. Rows that somebody has locked are left to the next sweep. */
  async runBatch(transaction: Transaction, limit: number): Promise<MaintenanceCounts> {
    const { backfill, pause } = this.options
    return {
      paused: pause?.while ? await this.update(this.pausing(pause.keep), transaction, limit) : 0,
      resumed: pause?.while ? await this.update(this.resuming(pause.keep), transaction, limit) : 0,
      backfilled: backfill ? await this.backfill(backfill, transaction, limit) : 0,
    }
  }

  /** Has Postgres plan what `runBatch` may write, on an explaining transaction. */
  async explain(transaction: Transaction, id: string): Promise<void> {
    const { backfill } = this.options
    const other = new Maintenance(this.guard, this.options, this.afterOf) // the sweep's own goes on where it is
    await other.runBatch(transaction, 1)
    other.reckoned = id
    await other.runBatch(transaction, 1)
    if (backfill) for (const deadline of [other.deadlineAfter(backfill.since, 1), NO_TIMER_AT]) await other.give(deadline, id, transaction)
  }

  /** The deadline of an order that has none: reckoned from `backfill.since` or now. */
  private async backfill({ since }: { since: string | undefined }, transaction: Transaction, limit: number): Promise<number> {
    const { table } = this.guard
    const none = this.missing()
    if (typeof this.options.after === 'number') {
      const set = `${this.deadline} = ${this.deadlineAfter(since, this.options.after)}`
      return this.update({ where: none, set }, transaction, limit)
    }
    const from = this.reckoned === undefined ? '' : ` AND ${table.id} > $2`
    const sql = `SELECT ${table.alias}.*, ${table.id}::text AS order_timers_id FROM ${table.aliased} WHERE ${none}${from}
ORDER BY ${table.id} LIMIT $1 FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`
    const bind = this.reckoned === undefined ? [limit] : [limit, this.reckoned]
    const found = await orderRows<Record<string, unknown>>(table.sequelize, sql, bind, transaction)
    this.reckoned = found.length < limit ? undefined : found.at(-1)?.order_timers_id
    let written = 0
    for (const row of found) {
      const afterMs = this.reckon(table.instance(row), String(row.order_timers_id))
      if (afterMs === undefined) continue
      await this.give(afterMs === null ? NO_TIMER_AT : this.deadlineAfter(since, afterMs), row.order_timers_id, transaction)
      written += 1
    }
    return written
  }

  private async give(deadline: string, id: unknown, transaction: Transaction): Promise<void> {
    const { table } = this.guard
    await rows(table.sequelize, `UPDATE ${table.aliased} SET ${this.deadline} = ${deadline} WHERE ${table.id} = $1`, [id], transaction)
  }

  private deadlineAfter(since: string | undefined, afterMs: number): string {
    const start = since === undefined ? 'now()' : `coalesce(${instantSql(this.guard.table.column(since))}, now())`
    return `date_trunc('milliseconds', ${start} + ${milliseconds(afterMs)})`
  }

  /** An order that the shop's own function fails on is left without a deadline, and holds up no other. */
  private reckon(order: Model, id: string): number | null | undefined {
    try {
      return this.afterOf(order)
    } catch (error) {
      this.failure ??= { id, error }
      return undefined
    }
  }

  private pausing(keep: string): { where: string; set: string } {
    const { guard } = this
    const left = `greatest(0, ceil(extract(epoch from ${guard.deadline} - now()) * 1000))::bigint`
    const where = `${this.applying} AND ${guard.deadline} IS NOT NULL AND ${guard.deadlineIs('>', guard.staleLine)} AND NOT (TRUE${guard.notPaused})`
    return { where, set: `${this.column(keep)} = ${left}, ${this.deadline} = ${guard.noTimer}` }
  }

  private resuming(keep: string): { where: string; set: string } {
    const { guard } = this
    const left = guard.table.column(keep)
    const where = `${this.applying} AND ${left} IS NOT NULL AND ${guard.deadline} IS NULL${guard.notPaused}`
    return {
      where,
      set: `${this.deadline} = date_trunc('milliseconds', now()) + ${left} * interval '1 millisecond', ${this.column(keep)} = NULL`,
    }
  }

  private missing(): string {
    const kept = this.options.pause ? ` AND ${this.guard.table.column(this.options.pause.keep)} IS NULL` : ''
    return `${this.applying}${this.guard.eligible} AND ${this.guard.deadlineColumn} IS NULL${kept}`
  }

  private async update({ where, set }: { where: string; set: string }, transaction: Transaction, limit: number): Promise<number> {
    const { table } = this.guard
    const due = `SELECT ${table.id} AS order_timers_id FROM ${table.aliased} WHERE ${where} LIMIT $1 FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`
    const sql = `WITH order_timers_due AS (${due}) UPDATE ${table.aliased} SET ${set}
FROM order_timers_due WHERE ${table.id} = order_timers_id RETURNING order_timers_id`
    return (await rows(table.sequelize, sql, [limit], transaction)).length
  }

  private get applying(): string {
    return `${this.guard.applies}${this.guard.paranoid}`
  }

  private get deadline(): string {
    return this.column(this.options.deadline as string)
  }

  private column(attribute: string): string {
    return this.guard.table.bareColumn(attribute)
  }
}
