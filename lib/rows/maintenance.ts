// Row maintenance: what the sweep writes before it settles. Orders without a deadline get one (`backfill`). Under `pause.while` a timer is paused
// when the condition begins to hold, and resumed with the time that was left when it no longer holds. Works in batches; locked rows are skipped. A row
// that Postgres refuses to write (a trigger, a CHECK) keeps no other back: batches are halved until it stands alone.

import type { Model, Transaction } from 'sequelize'
import { orderRows, rows } from '../sequelize/database.js'
import type { AfterOfOrder, From, OrdersDeadline } from './after.js'
import { allOf, type Condition } from './conditions.js'
import { NO_TIMER_AT, type RowGuard } from './guard.js'
import { CLOCK_AT_BEGIN, epochMsSql, instantOfMsSql, instantSql, intervalSql, timeLeftMsSql, wholeMsSql } from './instant-sql.js'
import { PutBack, type Returned, stillSql, writtenOf } from './put-back.js'
import type { DeclaredColumn } from './row-options.js'
import { RowsApart } from './rows-apart.js'

/** How many rows one batch wrote. */
export interface MaintenanceCounts {
  backfilled: number
  paused: number
  resumed: number
}

/** An order that was not written, because the rule's `after` threw for it, or Postgres refused the row. */
export interface MaintenanceFailure {
  id: string
  error: unknown
  what: 'gets no deadline' | 'was not written'
}

/** One UPDATE: which rows, and what it sets. */
interface Update {
  conditions: Condition[]
  assignments: string[]
}

/** How many orders one transaction passes to the shop's `after`: each may need a separate statement, and the rows are locked until the last one. */
const MOST_ASKED = 200

export class Maintenance {
  private failure: MaintenanceFailure | undefined
  /** The last order for which `after` was called, while there are more: orders for which it throws must not be read again first. */
  private lastAsked: unknown
  /** Since Postgres refused a batch of this sweep. */
  private apart: RowsApart | undefined
  private hasMoreApart = false

  constructor(
    private readonly guard: RowGuard,
    private readonly declared: DeclaredColumn,
    private readonly afterOf: AfterOfOrder | undefined,
  ) {}

  /** Whether `after` has not been called for all orders yet, although the last batch wrote fewer rows than its limit. */
  get hasMore(): boolean {
    return this.lastAsked !== undefined || this.hasMoreApart
  }

  /** The first failure since the last call of this, with which a sweep's maintenance ends. */
  takeFailure(): MaintenanceFailure | undefined {
    const { failure, apart } = this
    this.failure = this.apart = undefined
    this.hasMoreApart = false
    const [id] = apart?.refused ?? []
    return id === undefined ? failure : { id, error: apart?.error, what: 'was not written' }
  }

  /** From now on in this sweep, finds out which rows Postgres refuses, and leaves them out. @returns false where it does so already */
  tellRowsApart(): boolean {
    if (this.apart) return false
    this.apart = new RowsApart(this.guard.table.sequelize)
    this.lastAsked = undefined
    return true
  }

  /** Pauses, resumes and backfills at most `limit` rows each. Rows that are locked are left to the next sweep. */
  async runBatch(transaction: Transaction, limit: number): Promise<MaintenanceCounts> {
    const { backfill, pause } = this.declared
    this.hasMoreApart = false
    return {
      paused: pause?.while ? await this.update(this.pausing(pause.keep), transaction, limit) : 0,
      resumed: pause?.while ? await this.update(this.resuming(pause.keep), transaction, limit) : 0,
      backfilled: backfill ? await this.backfill(backfill.since, transaction, limit) : 0,
    }
  }

  /** Has Postgres plan what `runBatch` may write, on an explaining transaction. */
  async explain(transaction: Transaction, id: string): Promise<void> {
    const { backfill } = this.declared
    const other = new Maintenance(this.guard, this.declared, this.afterOf) // the sweep's instance keeps its position
    await other.runBatch(transaction, 1)
    other.lastAsked = id
    await other.runBatch(transaction, 1)
    other.tellRowsApart()
    await other.runBatch(transaction, 1)
    for (const update of other.updates) await other.updateOnly(update, [id], transaction)
    if (!backfill) return
    for (const given of [{ afterMs: 1 }, { atMs: 1 }, null])
      await other.setDeadline(other.deadlineOf(backfill.since, given), [id], transaction)
  }

  /** Deadlines for orders that have none, counted from `since` or from now. */
  private backfill(since: string | undefined, transaction: Transaction, limit: number): Promise<number> {
    const { after } = this.declared
    if (typeof after !== 'number') return this.backfillOneByOne(since, transaction, limit)
    return this.update(this.backfilling(since, after), transaction, limit)
  }

  private backfilling(since: string | undefined, after: number): Update {
    return { conditions: this.withoutDeadline(), assignments: [`${this.deadline} = ${this.deadlineAfter(since, after)}`] }
  }

  /** Those that are the same for all orders. */
  private get updates(): Update[] {
    const { backfill, pause, after } = this.declared
    return [
      ...(pause?.while ? [this.pausing(pause.keep), this.resuming(pause.keep)] : []),
      ...(backfill && typeof after === 'number' ? [this.backfilling(backfill.since, after)] : []),
    ]
  }

  /** If `after` is a function of the order. */
  private async backfillOneByOne(since: string | undefined, transaction: Transaction, limit: number): Promise<number> {
    const { table } = this.guard
    const next = this.lastAsked === undefined ? undefined : `${table.id} > $2`
    const begins = epochMsSql(backfillStartSql(this.guard, since))
    const sql = `SELECT ${table.alias}.*, ${table.id}::text AS order_timers_id, ${begins} AS order_timers_begins FROM ${table.aliased} WHERE ${allOf([...this.withoutDeadline(), next])}
ORDER BY ${table.id} LIMIT $1 FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`
    const most = Math.min(limit, MOST_ASKED)
    const bind = this.lastAsked === undefined ? [most] : [most, this.lastAsked]
    const found = await orderRows<Record<string, unknown>>(table.sequelize, sql, bind, transaction)
    this.lastAsked = found.length < most ? undefined : found.at(-1)?.order_timers_id
    // Grouped by the result of `after`: most orders get the same, and one statement writes them all.
    const idsOf = new Map<string, unknown[]>()
    for (const row of found) {
      const from = new Date(Number(row.order_timers_begins))
      const given = await this.askAfter(table.instance(row), String(row.order_timers_id), () => from)
      if (given === undefined) continue
      const deadline = this.deadlineOf(since, given)
      const ids = idsOf.get(deadline)
      if (ids) ids.push(row.order_timers_id)
      else idsOf.set(deadline, [row.order_timers_id])
    }
    let written = 0
    for (const [deadline, ids] of idsOf) {
      const write = (some: readonly unknown[]) => this.setDeadline(deadline, some, transaction)
      written += await (this.apart ? this.apart.write(ids as string[], write, transaction) : write(ids))
    }
    return written
  }

  private setDeadline(deadline: string, ids: readonly unknown[], transaction: Transaction): Promise<number> {
    return this.updateOnly({ conditions: this.withoutDeadline(), assignments: [`${this.deadline} = ${deadline}`] }, ids, transaction)
  }

  private deadlineOf(since: string | undefined, given: OrdersDeadline): string {
    if (given === null) return NO_TIMER_AT
    return 'atMs' in given ? instantOfMsSql(given.atMs) : this.deadlineAfter(since, given.afterMs)
  }

  private deadlineAfter(since: string | undefined, afterMs: number): string {
    return wholeMsSql(`${backfillStartSql(this.guard, since)} + ${intervalSql(afterMs)}`)
  }

  /** @returns undefined if `after` throws; that order is left without a deadline, and the others get theirs */
  private async askAfter(order: Model, id: string, from: From): Promise<OrdersDeadline | undefined> {
    try {
      return this.afterOf ? await this.afterOf.ask(order, from) : null
    } catch (error) {
      this.failure ??= { id, error, what: 'gets no deadline' }
      return undefined
    }
  }

  private pausing(keep: string): Update {
    const { guard } = this
    const left = timeLeftMsSql(guard.deadlineSql, 'now()')
    return {
      conditions: [...this.applying, `${guard.deadlineSql} IS NOT NULL`, guard.deadlineIs('>', guard.staleLineSql), guard.pausedSql],
      assignments: [`${this.column(keep)} = ${left}::bigint`, `${this.deadline} = ${guard.noTimerSql}`],
    }
  }

  private resuming(keep: string): Update {
    const { guard } = this
    const left = guard.table.column(keep)
    return {
      conditions: [...this.applying, `${left} IS NOT NULL`, `${guard.deadlineSql} IS NULL`, guard.notPausedSql],
      assignments: [`${this.deadline} = ${CLOCK_AT_BEGIN} + ${intervalSql(left)}`, `${this.column(keep)} = NULL`],
    }
  }

  private withoutDeadline(): Condition[] {
    const { guard } = this
    const { pause } = this.declared
    const notKept = pause && `${guard.table.column(pause.keep)} IS NULL`
    return [...this.applying, guard.eligibleSql, `${guard.deadlineColumn} IS NULL`, notKept]
  }

  private async update({ conditions, assignments }: Update, transaction: Transaction, limit: number): Promise<number> {
    const { table } = this.guard
    if (this.apart) return this.updateApart({ conditions, assignments }, this.apart, transaction, limit)
    const found = `SELECT ${table.id} AS order_timers_id FROM ${table.aliased} WHERE ${allOf(conditions)}
LIMIT $1 FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`
    const sql = `WITH order_timers_due AS (${found}) UPDATE ${table.aliased} SET ${assignments.join(', ')}
FROM order_timers_due WHERE ${table.id} = order_timers_id RETURNING ${table.id}::text AS id, ${stillSql(conditions)}`
    return this.count(await rows<Returned>(table.sequelize, sql, [limit], transaction))
  }

  private count(returned: readonly Returned[]): number {
    const { written, putBack } = writtenOf(returned)
    if (putBack !== undefined) this.failure ??= { id: putBack, error: new PutBack(), what: 'was not written' }
    return written
  }

  /** The same, row by row where it must be. */
  private async updateApart(update: Update, apart: RowsApart, transaction: Transaction, limit: number): Promise<number> {
    const { table } = this.guard
    const sql = `SELECT ${table.id}::text AS id FROM ${table.aliased} WHERE ${allOf([...update.conditions, `${table.id} <> ALL($2)`])}
LIMIT $1 FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`
    const found = await rows<{ id: string }>(table.sequelize, sql, [limit, apart.refused], transaction)
    const ids = found.map(({ id }) => id)
    const written = await apart.write(ids, (some) => this.updateOnly(update, some, transaction), transaction)
    this.hasMoreApart ||= ids.length >= limit && written > 0
    return written
  }

  private async updateOnly({ conditions, assignments }: Update, ids: readonly unknown[], transaction: Transaction): Promise<number> {
    const { table } = this.guard
    const sql = `UPDATE ${table.aliased} SET ${assignments.join(', ')} WHERE ${table.id} = ANY($1) RETURNING ${table.id}::text AS id, ${stillSql(conditions)}`
    return this.count(await rows<Returned>(table.sequelize, sql, [ids], transaction))
  }

  private get applying(): Condition[] {
    return [this.guard.appliesSql, this.guard.notDeletedSql]
  }

  private get deadline(): string {
    return this.column(this.declared.attribute)
  }

  private column(attribute: string): string {
    return this.guard.table.bareColumn(attribute)
  }
}

/** The start of a backfilled deadline: the attribute that `backfill.since` names, or now. */
export function backfillStartSql({ table }: RowGuard, since: string | undefined): string {
  return since === undefined ? 'now()' : `coalesce(${instantSql(table.column(since))}, now())`
}
