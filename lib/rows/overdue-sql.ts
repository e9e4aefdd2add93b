// How many of a rule's orders are overdue without an excuse, and the oldest of them, for health. In a backlog it reads only the first
// ones, so it may run every second.

import { allOf } from './conditions.js'
import { epochMsSql } from './instant-sql.js'
import { isLockedSql } from './row-is-locked.js'
import type { SettledRows } from './row-rule.js'

/** The limit of the count. */
export const MOST_OVERDUE = 20_000

/**
 * One row: `count`, and the oldest one's `deadline_ms` and `age_ms`, null without one. Excused are orders that `where` or a pause holds back, stale ones, rows that another
 * transaction has locked, those on which the rule failed, and those that wait for an answer of `verify`.
 * @param knowsFailures binds an array of ids: those on which the rule failed
 */
export function overdueSql(
  { guard, verification }: SettledRows,
  { seesLocks, knowsFailures }: { seesLocks: boolean; knowsFailures: boolean },
): string {
  const { table, appliesSql, eligibleSql, notDeletedSql, dueSql, deadlineSql, deadlineColumn } = guard
  const failed = knowsFailures
    ? ` LEFT JOIN unnest($1::text[]) AS order_timers_failed (order_timers_failed_id) ON order_timers_failed_id = ${table.id}::text`
    : ''
  const where = allOf([
    ...[appliesSql, eligibleSql, notDeletedSql, dueSql],
    seesLocks ? `NOT (${isLockedSql(table.alias)})` : undefined,
    knowsFailures ? 'order_timers_failed_id IS NULL' : undefined,
    verification && `NOT ${verification.unverified.waitsSql}`,
  ])
  return `SELECT count(*)::int AS count, ${epochMsSql('min(deadline)')} AS deadline_ms,
  (date_part('epoch', now() - min(deadline)) * 1000)::float8 AS age_ms
FROM (SELECT ${deadlineSql} AS deadline FROM ${table.aliased}${failed} WHERE ${where} ORDER BY ${deadlineColumn} LIMIT ${MOST_OVERDUE}) AS overdue`
}
