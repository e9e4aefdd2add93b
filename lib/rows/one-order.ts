// One order under a rule, for a person: whether the rule applies, what holds it back, its deadline, and its history. Takes no
// locks.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { allOf } from './conditions.js'
import { HISTORY_TABLE, VIA_RUN } from './history.js'
import { epochMsSql } from './instant-sql.js'
import { isLockedSql } from './row-is-locked.js'
import { columnOf } from './row-options.js'
import type { SettledRows } from './row-rule.js'

export interface OneOrder {
  status: string | null
  /** The rule applies to it: in `from`, and not deleted. */
  applies: boolean
  /** Neither `where` nor a pause holds it back. */
  eligible: boolean
  /** A pause has stored its remaining time. */
  paused: boolean
  locked: boolean
  stale: boolean
  /** Milliseconds since 1970; null for none. */
  deadline: number | null
  now: number
}

/** A history row of a settlement, a reminder, or a bulk run; for the latter the path is `run`. */
export interface HistoryEntry {
  reminder: string
  fromStatus: string | null
  toStatus: string | null
  deadlineMs: number | null
  settledMs: number
  latenessMs: number | null
  via: string
  worker: string
  attempts: number
  pending: boolean
  error: string | null
}

const MOST_ENTRIES = 20

/** @returns undefined if there is no such row */
export async function oneOrder(
  { guard, options }: SettledRows,
  id: string,
  transaction: Transaction,
  seesLocks: boolean,
): Promise<OneOrder | undefined> {
  const { table, statusAttribute, deadlineSql } = guard
  const { pause } = columnOf(options) ?? {}
  const paused = pause ? `(${deadlineSql} IS NULL AND ${table.column(pause.keep)} IS NOT NULL)` : 'FALSE'
  const sql = `SELECT ${statusAttribute ? `${table.column(statusAttribute)}::text` : 'NULL'} AS status,
  (${allOf([guard.appliesSql, guard.notDeletedSql])}) IS TRUE AS applies, (${guard.eligibleSql}) IS TRUE AS eligible, ${paused} AS paused,
  ${seesLocks ? isLockedSql(table.alias) : 'FALSE'} AS locked, coalesce(${guard.staleSql}, FALSE) AS stale,
  ${epochMsSql(deadlineSql)} AS deadline, ${epochMsSql('clock_timestamp()')} AS now
FROM ${table.aliased} WHERE ${table.id} = $1`
  const [found] = await rows<OneOrder>(table.sequelize, sql, [id], transaction)
  return found
}

/** Newest first. */
export async function historyOf({ guard, options }: SettledRows, id: string, transaction: Transaction): Promise<HistoryEntry[]> {
  if (!options.history) return []
  const { table } = guard
  const run = `via = '${VIA_RUN}'`
  const what = `CASE WHEN ${run} THEN '' ELSE reminder END AS reminder, CASE WHEN ${run} THEN reminder ELSE via END AS via`
  const sql = `SELECT ${what}, from_status AS "fromStatus", to_status AS "toStatus", ${epochMsSql('deadline')} AS "deadlineMs",
  ${epochMsSql('settled_at')} AS "settledMs", lateness_ms AS "latenessMs", worker, attempts, next_try IS NOT NULL AS pending, error
FROM ${table.inSameSchema(HISTORY_TABLE)} WHERE order_id = $1 AND kind = $2 ORDER BY settled_at DESC LIMIT ${MOST_ENTRIES}`
  return rows<HistoryEntry>(table.sequelize, sql, [id, options.kind], transaction)
}
