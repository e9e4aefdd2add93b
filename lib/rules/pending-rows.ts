// What the sweep reads: overdue rows, rows that come due soon, and rows that are overdue for so long that a person should look.
// All by keyset (deadline, id), so that a row that cannot be settled never starves those behind it.

import type { Transaction } from 'sequelize'
import { rows } from './database.js'
import { RowGuard } from './row-guard.js'

export interface OverdueQuery {
  /** How long ago the pass began, milliseconds: what has come due since is not its work. */
  elapsedMs: number
  after: DueRow | undefined
  limit: number
  /** The name of the lock under which one worker reads at a time. */
  lock: string
}

export interface UpcomingQuery {
  horizonMs: number
  after: DueRow | undefined
  limit: number
}

/** A row with its deadline in milliseconds (rounded up), and the deadline as text with all of Postgres's digits, for the keyset. */
export interface DueRow {
  id: string
  deadlineMs: number
  cursor: string
}

/** What is overdue by more than `staleAfter`; the oldest in milliseconds. */
export interface Stale {
  count: number
  oldest: number | null
}

/** How far orders are counted that a person should look at. */
export const MOST_COUNTED = 1_000

interface PendingRow {
  id: string | number
  deadline_ms: number
  cursor: string
}

export class PendingRows {
  private readonly source: string

  constructor(
    private readonly guard: RowGuard,
    /** The attribute in which a paused timer keeps its time. */
    private readonly keep?: string,
  ) {
    const { table } = guard
    this.source = `FROM ${table.aliased} WHERE ${guard.applies}${guard.eligible}${guard.paranoid}`
  }

  /** Nothing while somebody else reads under the lock, which ends with the transaction. */
  overdue(transaction: Transaction, { elapsedMs, after, limit, lock }: OverdueQuery): Promise<DueRow[]> {
    const conditions = [this.guard.deadlineIs('<=', fromNow('$1')), this.guard.deadlineIs('>', this.guard.staleLine), LOCKED]
    return this.read(transaction, conditions, [-elapsedMs, limit, lock], after)
  }

  upcoming(transaction: Transaction, { horizonMs, after, limit }: UpcomingQuery): Promise<DueRow[]> {
    const conditions = [this.guard.deadlineIs('>', 'now()'), this.guard.deadlineIs('<=', fromNow('$1'))]
    return this.read(transaction, conditions, [horizonMs, limit], after)
  }

  async stale(transaction: Transaction): Promise<Stale> {
    const deadline = RowGuard.epochMs('min(deadline)')
    const inner = `SELECT ${this.guard.deadline} AS deadline ${this.source} AND ${this.guard.deadlineIs('<=', this.guard.staleLine)} LIMIT $1`
    const sql = `SELECT count(*)::int AS count, ${deadline} AS oldest FROM (${inner}) AS stale`
    const [row] = await rows<Stale>(this.guard.table.sequelize, sql, [MOST_COUNTED], transaction)
    return row ?? { count: 0, oldest: null }
  }

  /** How many orders are where the rule applies and have no deadline. */
  async undated(transaction: Transaction): Promise<number> {
    const { table, applies, eligible, paranoid, deadlineColumn } = this.guard
    const notKept = this.keep === undefined ? '' : ` AND ${table.column(this.keep)} IS NULL`
    const inner = `SELECT 1 FROM ${table.aliased} WHERE ${applies}${eligible}${paranoid} AND ${deadlineColumn} IS NULL${notKept} LIMIT $1`
    const [row] = await rows<{ count: number }>(
      table.sequelize,
      `SELECT count(*)::int AS count FROM (${inner}) AS undated`,
      [MOST_COUNTED],
      transaction,
    )
    return row?.count ?? 0
  }

  /** `bind` begins with the milliseconds that the conditions name, and the limit. */
  private async read(transaction: Transaction, conditions: string[], bind: unknown[], after: DueRow | undefined): Promise<DueRow[]> {
    const { table, deadline, deadlineColumn } = this.guard
    const keyset = `(${deadlineColumn}, ${table.id})`
    const behind = after ? [`${keyset} > ($${bind.push(after.cursor)}, $${bind.push(after.id)})`] : []
    const where = [...conditions, ...behind].join(' AND ')
    const page = `SELECT ${table.id} AS id, ${deadline} AS deadline, ${deadlineColumn} AS cursor ${this.source} AND ${where}
ORDER BY ${deadlineColumn}, ${table.id} LIMIT $2`
    // A timestamp as text costs as much as all the rest of a row, and only one is needed.
    const sql = `SELECT id, ${RowGuard.epochMs('deadline')} AS deadline_ms,
  CASE row_number() OVER (ORDER BY cursor, id) WHEN $2 THEN cursor::text END AS cursor
FROM (${page}) AS page ORDER BY page.cursor, id`
    const found = await rows<PendingRow>(table.sequelize, sql, bind, transaction)
    return found.map((row) => ({ id: String(row.id), deadlineMs: row.deadline_ms, cursor: row.cursor }))
  }
}

/** Asked once for a statement, before any row is read. */
const LOCKED = '(SELECT pg_try_advisory_xact_lock(hashtextextended($3, 0)))'

function fromNow(milliseconds: string): string {
  return `now() + ${milliseconds}::float8 * interval '1 millisecond'`
}
