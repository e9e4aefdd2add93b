// Reads of the history table, for a person: what happened to one order, and what a rule did in the last minutes. Nothing is written or locked.

import { rows } from '../sequelize/database.js'
import { VERIFIED_COLUMN } from './history.js'
import { boundIntervalSql, epochMsSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'

export interface HistoryEntry {
  /** The row's own id. */
  entry: string
  id: string
  /** The reminder's `before`, as declared; `run ID` if a bulk run moved the deadline; '' for a settlement. */
  reminder: string
  from: string | null
  to: string | null
  deadline: Date | null
  settledAt: Date
  latenessMs: number | null
  via: string
  /** The identity of the process that did it. */
  worker: string
  /** `afterCommit`: how often it was tried, its last error, and when it is tried again; null if it succeeded or there is none. */
  attempts: number
  error: string | null
  nextTry: Date | null
  /** Under `verify`: the answer, or the operator's decision, by which it was settled. */
  verified?: Verified
}

export interface Verified {
  /** ISO 8601. */
  at: string
  answer?: true
  reference?: string
  by?: string
  reason?: string
}

interface Row {
  entry: string
  order_id: string
  reminder: string
  from_status: string | null
  to_status: string | null
  deadline_ms: number | null
  settled_ms: number
  lateness_ms: number | null
  via: string
  worker: string
  attempts: number
  error: string | null
  next_ms: number | null
  verified: string | null
}

/** The history's table may lack the column if no rule has `verify`. */
const HISTORY = 'order_timers_h'

const COLUMNS = `id::text AS entry, order_id, reminder, from_status, to_status, ${epochMsSql('deadline')} AS deadline_ms,
  ${epochMsSql('settled_at')} AS settled_ms, lateness_ms, via, worker, attempts, error, ${epochMsSql('next_try')} AS next_ms,
  (to_jsonb(${HISTORY}) -> '${VERIFIED_COLUMN}')::text AS verified`

/** @param table the history's, as SQL @returns newest first @throws what Postgres throws */
export async function historyOfOrder(
  { sequelize }: OrderTable,
  table: string,
  kind: string,
  id: string,
  limit: number,
): Promise<HistoryEntry[]> {
  const sql = `SELECT ${COLUMNS} FROM ${table} AS ${HISTORY} WHERE order_id = $1 AND kind = $2 ORDER BY id DESC LIMIT ${limit}`
  return (await rows<Row>(sequelize, sql, [id, kind], null)).map(entryOf)
}

/**
 * One page of what a rule settled, newest first.
 * @param before the last entry of the previous page
 */
export async function historyOfRule(
  { sequelize }: OrderTable,
  { table, kind, sinceMs, before, limit }: { table: string; kind: string; sinceMs: number; before: string | undefined; limit: number },
): Promise<HistoryEntry[]> {
  const sql = `SELECT ${COLUMNS} FROM ${table} AS ${HISTORY}
WHERE kind = $1 AND settled_at >= clock_timestamp() - ${boundIntervalSql('$2')} AND ($3::bigint IS NULL OR id < $3::bigint) ORDER BY id DESC LIMIT ${limit}`
  return (await rows<Row>(sequelize, sql, [kind, sinceMs, before ?? null], null)).map(entryOf)
}

function entryOf(row: Row): HistoryEntry {
  const instant = (milliseconds: number | null) => (milliseconds === null ? null : new Date(milliseconds))
  const { entry, reminder, via, worker, attempts, error } = row
  return {
    ...{ entry, id: row.order_id, reminder, from: row.from_status, to: row.to_status },
    ...{ deadline: instant(row.deadline_ms), settledAt: new Date(row.settled_ms), latenessMs: row.lateness_ms },
    ...{ via, worker, attempts, error, nextTry: instant(row.next_ms) },
    ...(row.verified !== null && row.verified !== 'null' && { verified: JSON.parse(row.verified) as Verified }),
  }
}
