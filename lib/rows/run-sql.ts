// The statements of a bulk run: its plan, and one portion. A portion goes by the primary key, never by the deadline:
// the run changes the deadline, so a moved order would be read again.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { allOf, type Condition } from './conditions.js'
import type { RowGuard } from './guard.js'
import type { History } from './history.js'
import { boundIntervalSql, epochMsSql, instantOfMsSql } from './instant-sql.js'
import type { DeclaredColumn } from './row-options.js'
import { runWhereSql } from './run-where.js'
import type { RunTask } from './runs-table.js'

/** The result of one portion. */
export interface Portion {
  /** The moved orders with their new deadlines, milliseconds since 1970; null for none. */
  ids: string[]
  deadlines: (number | null)[]
  /** Orders whose rows another transaction has locked. */
  locked: string[]
  /** The last row that was read; null if there was none. */
  last: string | null
  /** How long Postgres took for it, milliseconds. */
  tookMs: number
}

interface KeysetPage {
  after: string | null
  upTo: string
  /** The maximum number of matching orders to move, and of rows to read. */
  limit: number
  lookAt: number
}

/** Which run moves them, by which process; with the rule's `history` each order has a row there. */
export interface Mover {
  run: string
  process: string
  history: History | undefined
}

/** A portion by keyset, or of orders that were locked before. */
export type PortionPage = KeysetPage | { ids: readonly string[] }

const MOVED = 'order_timers_moved JOIN order_timers_free USING (order_timers_id)'

interface PageSql {
  before?: string
  place: string
  limit?: string
  last: string
}

function byIds(id: string, ids: string): PageSql {
  return { place: `${id} = ANY(${ids})`, last: 'NULL' }
}

export class RunSql {
  private readonly conditions: readonly Condition[]

  constructor(
    private readonly guard: RowGuard,
    private readonly column: DeclaredColumn,
    private readonly task: RunTask,
    /** The start of the run, milliseconds since 1970: `after` counts from it. */
    private readonly startedAt: number,
  ) {
    const { table, appliesSql, whereSql, notDeletedSql, notPausedSql } = guard
    this.conditions = [appliesSql, whereSql, notDeletedSql, notPausedSql, ...this.ofAction(), runWhereSql(table, task.where)]
  }

  /** Moves one portion, in the transaction that has locked the run. Rows that another transaction has locked are skipped. */
  async move(page: PortionPage, { run, process, history }: Mover, transaction: Transaction): Promise<Portion> {
    const { table, deadlineSql } = this.guard
    const bind: unknown[] = []
    const bound = (value: unknown) => `$${bind.push(value)}`
    const id = `${table.id} AS order_timers_id`
    const { before = '', place, limit = '', last } = 'ids' in page ? byIds(table.id, bound(page.ids)) : this.byKeyset(page, bound)
    const sql = `WITH ${before}order_timers_page AS MATERIALIZED (
  SELECT ${id} FROM ${table.aliased} WHERE ${place} AND ${this.matches} ORDER BY ${table.id}${limit}
), order_timers_free AS MATERIALIZED (
  SELECT ${id}${history ? `, ${deadlineSql} AS order_timers_before` : ''} FROM ${table.aliased} WHERE ${table.id} = ANY(ARRAY(SELECT order_timers_id FROM order_timers_page)) AND ${this.matches}
  ORDER BY ${table.id} FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED
), order_timers_moved AS (
  UPDATE ${table.aliased} SET ${this.assignments(bound).join(', ')} WHERE ${table.id} = ANY(ARRAY(SELECT order_timers_id FROM order_timers_free))
  RETURNING ${id}, ${epochMsSql(deadlineSql)} AS order_timers_deadline${history ? `, ${deadlineSql} AS order_timers_after` : ''}
)${history ? `, order_timers_noted AS (${history.insertMoved(MOVED, bound(run), bound(process))})` : ''}
SELECT (SELECT json_agg(order_timers_id::text ORDER BY order_timers_id) FROM order_timers_moved)::text AS ids,
  (SELECT json_agg(order_timers_deadline ORDER BY order_timers_id) FROM order_timers_moved)::text AS deadlines,
  (SELECT json_agg(order_timers_id::text) FROM order_timers_page WHERE order_timers_id NOT IN (SELECT order_timers_id FROM order_timers_free))::text AS locked,
  ${last} AS last, extract(epoch FROM clock_timestamp() - statement_timestamp())::float8 * 1000 AS took`
    type Row = { ids: string | null; deadlines: string | null; locked: string | null; last: string | null; took: number }
    const [found] = await rows<Row>(table.sequelize, sql, bind, transaction)
    const list = <T>(text: string | null | undefined): T[] => JSON.parse(text ?? '[]')
    return {
      ids: list(found?.ids),
      deadlines: list(found?.deadlines),
      locked: list(found?.locked),
      last: found?.last ?? null,
      tookMs: found?.took ?? 0,
    }
  }

  /** Reads a limited number of rows, whether they match or not, so that no portion takes long if few match. */
  private byKeyset({ after, upTo, limit, lookAt }: KeysetPage, bound: (value: unknown) => string): PageSql {
    const { table } = this.guard
    const from = after === null ? [] : [`${table.id} > ${bound(after)}`]
    const ahead = allOf([...from, `${table.id} <= ${bound(upTo)}`])
    const end = '(SELECT order_timers_id FROM order_timers_end)'
    const most = bound(limit)
    return {
      before: `order_timers_end AS MATERIALIZED (
  SELECT order_timers_id FROM (
    SELECT ${table.id} AS order_timers_id FROM ${table.aliased} WHERE ${ahead} ORDER BY ${table.id} LIMIT ${bound(lookAt)}::int
  ) AS order_timers_ahead ORDER BY order_timers_id DESC LIMIT 1
), `,
      place: allOf([...from, `${table.id} <= ${end}`]),
      limit: ` LIMIT ${most}::int`,
      last: `CASE (SELECT count(*) FROM order_timers_page) WHEN ${most}::int
    THEN (SELECT order_timers_id FROM order_timers_page ORDER BY order_timers_id DESC LIMIT 1) ELSE ${end} END::text`,
    }
  }

  /** The CASE prevents Postgres from using an index on the deadline or the status. */
  private get matches(): string {
    return `CASE WHEN ${allOf(this.conditions)} THEN TRUE ELSE FALSE END`
  }

  /** The number of orders. */
  async count(transaction: Transaction): Promise<number> {
    const { table } = this.guard
    const sql = `SELECT count(*)::int AS count FROM ${table.aliased} WHERE ${allOf(this.conditions)}`
    const [found] = await rows<{ count: number }>(table.sequelize, sql, [], transaction)
    return found?.count ?? 0
  }

  /** The first orders, with their new deadlines. */
  async samples(most: number, transaction: Transaction): Promise<{ id: string; before: number | null; after: number | null }[]> {
    const { table, deadlineSql } = this.guard
    const bind: unknown[] = [most]
    const after = this.newDeadline((value) => `$${bind.push(value)}`)
    const sql = `SELECT ${table.id}::text AS id, ${epochMsSql(deadlineSql)} AS before, ${epochMsSql(after ?? 'NULL::timestamptz')} AS after
FROM ${table.aliased} WHERE ${allOf(this.conditions)} ORDER BY ${table.id} LIMIT $1`
    return rows(table.sequelize, sql, bind, transaction)
  }

  /** The greatest id in the table; null if it is empty. */
  async lastId(transaction: Transaction): Promise<string | null> {
    const { table } = this.guard
    const sql = `SELECT ${table.id}::text AS id FROM ${table.aliased} ORDER BY ${table.id} DESC LIMIT 1`
    const [found] = await rows<{ id: string }>(table.sequelize, sql, [], transaction)
    return found?.id ?? null
  }

  private ofAction(): Condition[] {
    const { guard, column, task } = this
    const { deadlineSql, deadlineColumn, table } = guard
    const hasTimer = `${deadlineSql} IS NOT NULL`
    if (task.action === 'cancelAll') return [hasTimer]
    // Stale orders are left for a person, and an extension must not make them settle.
    if (task.action === 'extendAll') return [hasTimer, guard.deadlineIs('>', guard.staleLineSql)]
    const notPaused = column.pause && `${table.column(column.pause.keep)} IS NULL`
    return [task.overwrite ? `(${deadlineColumn} IS NULL OR ${hasTimer})` : `${deadlineColumn} IS NULL`, notPaused]
  }

  private assignments(bound: (value: unknown) => string): string[] {
    const { guard, column, task } = this
    const { table, noTimerSql } = guard
    const deadline = this.newDeadline(bound)
    const notExtended =
      task.action === 'scheduleAll' && column.extensions ? [`${table.bareColumn(column.extensions.attribute)} = NULL`] : []
    return [`${table.bareColumn(column.attribute)} = ${deadline ?? noTimerSql}`, ...notExtended]
  }

  /** Undefined for none. */
  private newDeadline(bound: (value: unknown) => string): string | undefined {
    const { action, byMs, atMs, afterMs } = this.task
    if (action === 'cancelAll') return undefined
    if (action === 'scheduleAll') return instantOfMsSql(bound(atMs ?? this.startedAt + (afterMs ?? 0)))
    return `${this.guard.deadlineColumn} + ${boundIntervalSql(bound(byMs))}`
  }
}
