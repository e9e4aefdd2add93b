// What the sweep reads: rows that are overdue, that come due soon, or that have been overdue for so long that a person should look at them.
// Pages use the keyset (deadline, id), so that a row that cannot be settled does not block those after it.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { allOf, type Condition } from './conditions.js'
import type { RowGuard } from './guard.js'
import { boundIntervalSql, epochMsSql } from './instant-sql.js'
import { tryLock } from './sweep-lock.js'

export interface OverdueQuery {
  /** How long ago the pass began, milliseconds: it does not read what has come due since. */
  elapsedMs: number
  after: Keyset | undefined
  limit: number
  /** The name of the lock under which one worker reads at a time. */
  lock: string
}

export interface UpcomingQuery {
  horizonMs: number
  after: Keyset | undefined
  limit: number
}

/** Thousands of rows, by columns, so that they can be passed on without processing each. */
export interface Page {
  ids: string[]
  /** Where the next page continues; undefined if this one is not full. */
  next: Keyset | undefined
}

export interface DatedPage extends Page {
  /** In milliseconds, rounded up; each for the id at the same index. */
  deadlines: number[]
}

/** Overdue rows, as far as they could be read. */
export interface OverduePage extends DatedPage {
  /** False where another transaction held the lock, so that nothing was read. */
  wasRead: boolean
}

/** The last row of a page; the deadline's column as text, with full precision. */
export interface Keyset {
  id: string
  deadline: string
}

/** Rows that are overdue by more than `staleAfter`; the oldest in milliseconds. */
export interface Stale {
  count: number
  oldest: number | null
}

/** The limit for counting orders that a person should check. */
export const MOST_COUNTED = 1_000

interface FoundPage {
  ids: string | null
  deadlines: string | null
  last: string | null
  ours?: boolean
}

interface PageQuery {
  conditions: Condition[]
  /** Bind parameters: the milliseconds in the conditions ($1), the limit, and the name of the lock, if one is needed. */
  bind: [milliseconds: number, limit: number, lock?: string]
  after: Keyset | undefined
}

export class PendingRows {
  /** The rule applies to the order, and only its deadline holds it back. */
  private readonly waiting: readonly Condition[]

  constructor(
    private readonly guard: RowGuard,
    /** The attribute in which a paused timer stores its remaining time. */
    private readonly keep?: string,
    /** Orders for which this does not hold are not read as overdue: another part handles them. */
    private readonly isOurs?: Condition,
  ) {
    this.waiting = [guard.appliesSql, guard.eligibleSql, guard.notDeletedSql]
  }

  /** Reads nothing while another transaction holds the lock; the lock ends with the transaction. */
  async overdue(transaction: Transaction, { elapsedMs, after, limit, lock }: OverdueQuery): Promise<OverduePage> {
    const conditions = [this.guard.deadlineIs('<=', fromNow('$1')), this.guard.deadlineIs('>', this.guard.staleLineSql), this.isOurs]
    const { ours, ...page } = await this.read(transaction, { conditions, bind: [-elapsedMs, limit, lock], after })
    return { ...page, wasRead: ours === true }
  }

  async upcoming(transaction: Transaction, { horizonMs, after, limit }: UpcomingQuery): Promise<DatedPage> {
    const conditions = [this.guard.deadlineIs('>', 'now()'), this.guard.deadlineIs('<=', fromNow('$1'))]
    return this.read(transaction, { conditions, bind: [horizonMs, limit], after })
  }

  async stale(transaction: Transaction): Promise<Stale> {
    const { table, deadlineSql, staleSql } = this.guard
    const where = allOf([...this.waiting, staleSql])
    const inner = `SELECT ${deadlineSql} AS deadline FROM ${table.aliased} WHERE ${where} LIMIT $1`
    const sql = `SELECT count(*)::int AS count, ${epochMsSql('min(deadline)')} AS oldest FROM (${inner}) AS stale`
    const [row] = await rows<Stale>(table.sequelize, sql, [MOST_COUNTED], transaction)
    return row ?? { count: 0, oldest: null }
  }

  /** How many orders the rule applies to that are not paused and have no deadline, or `backfill`'s mark for none. */
  async undated(transaction: Transaction): Promise<number> {
    const { table, deadlineSql } = this.guard
    const notPaused = this.keep && `${table.column(this.keep)} IS NULL`
    const where = allOf([...this.waiting, `${deadlineSql} IS NULL`, notPaused])
    const inner = `SELECT 1 FROM ${table.aliased} WHERE ${where} LIMIT $1`
    const [row] = await rows<{ count: number }>(
      table.sequelize,
      `SELECT count(*)::int AS count FROM (${inner}) AS undated`,
      [MOST_COUNTED],
      transaction,
    )
    return row?.count ?? 0
  }

  /**
   * Each column is returned as one JSON text, which is much faster to read than thousands of rows. Its values are in the order of the
   * inner query, since there is nothing between it and the aggregates (https://www.postgresql.org/docs/current/functions-aggregate.html).
   */
  private async read(
    transaction: Transaction,
    { conditions, bind: [milliseconds, limit, lock], after }: PageQuery,
  ): Promise<DatedPage & Pick<FoundPage, 'ours'>> {
    const { table, deadlineSql, deadlineColumn } = this.guard
    const bind: unknown[] = [milliseconds, limit]
    const parameter = (value: unknown) => `$${bind.push(value)}`
    const locking = lock === undefined ? '' : `WITH order_timers_lock AS MATERIALIZED (${tryLock(parameter(lock))})\n`
    const isOurs = lock === undefined ? undefined : '(SELECT ours FROM order_timers_lock)'
    const keyset = `${deadlineColumn}, ${table.id}`
    const isAfter = after && `(${keyset}) > (${parameter(after.deadline)}, ${parameter(after.id)})`
    const page = `SELECT ${table.id} AS id, ${deadlineSql} AS deadline, ${deadlineColumn} AS keyset
FROM ${table.aliased} WHERE ${allOf([...this.waiting, ...conditions, isOurs, isAfter])} ORDER BY ${keyset} LIMIT $2`
    const selected = [
      'json_agg(page.id::text)::text AS ids',
      `json_agg(${epochMsSql('page.deadline')})::text AS deadlines`,
      'CASE count(*) WHEN $2 THEN max(page.keyset)::text END AS last',
      ...(isOurs ? [`${isOurs} AS ours`] : []),
    ]
    const sql = `${locking}SELECT ${selected.join(', ')}\nFROM (${page}) AS page`
    const [found] = await rows<FoundPage>(table.sequelize, sql, bind, transaction)
    const ids: string[] = JSON.parse(found?.ids ?? '[]')
    const last = found?.last ?? undefined
    return {
      ids,
      deadlines: JSON.parse(found?.deadlines ?? '[]'), // bounded on both sides, so none is infinite
      ...(found?.ours !== undefined && { ours: found.ours }),
      next: last === undefined ? undefined : { id: ids.at(-1) as string, deadline: last },
    }
  }
}

function fromNow(parameter: string): string {
  return `now() + ${boundIntervalSql(parameter)}`
}
