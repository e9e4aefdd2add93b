// Reads the timers that customers watch: the orders of several rules in one statement, by primary key.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { allOf } from './conditions.js'
import { remainingMsSql } from './instant-sql.js'
import { columnOf } from './row-options.js'
import type { RowRule } from './row-rule.js'

/** Orders of one rule. @see RowRule.deadline: not only in Redis */
export interface WatchedOrders {
  kind: string
  row: RowRule
  ids: readonly string[]
}

export interface WatchedRow {
  kind: string
  id: string
  /** Whether the rule applies to the order. */
  applies: boolean
  paused: boolean
  /** Milliseconds to the deadline, negative once it has passed; if it is paused, the stored milliseconds; null without a timer. */
  remainingMs: number | null
}

/** One statement over all of them, which must belong to one Sequelize. An order that does not exist has no row. */
export async function watchedRows(orders: readonly WatchedOrders[], transaction: Transaction): Promise<WatchedRow[]> {
  const [first] = orders
  if (first === undefined) return []
  const sql = orders.map(({ kind, row }, index) => selectSql(kind, row, `$${index + 1}`)).join('\nUNION ALL\n')
  const found = await rows<{ kind: string; id: string; applies: boolean; paused: boolean; remaining_ms: number | null }>(
    first.row.guard.table.sequelize,
    sql,
    orders.map(({ ids }) => ids),
    transaction,
  )
  return found.map(({ kind, id, applies, paused, remaining_ms }) => ({ kind, id, applies, paused, remainingMs: remaining_ms }))
}

/** Kinds are names without quotes (KIND_SHAPE). */
function selectSql(kind: string, { guard, options }: RowRule, ids: string): string {
  const { table } = guard
  const keep = columnOf(options)?.pause?.keep
  const kept = keep && table.column(keep)
  const paused = kept ? `(${kept} IS NOT NULL OR ${guard.pausedSql ?? 'FALSE'})` : 'FALSE'
  const left = remainingMsSql(guard.deadlineSql, 'clock_timestamp()')
  return `SELECT '${kind}' AS kind, ${table.id}::text AS id,
  (${allOf([guard.appliesSql, guard.whereSql, guard.notDeletedSql])}) IS TRUE AS applies, ${paused} AS paused,
  (${kept ? `coalesce(${kept}, ${left})` : left})::float8 AS remaining_ms
FROM ${table.aliased} WHERE ${table.id} = ANY(${ids})`
}
