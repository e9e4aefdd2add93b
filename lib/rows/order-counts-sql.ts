// The statement that counts a rule's orders by state: each order once, under the first of STATES that it is in.

import { INSUFFICIENT_PRIVILEGE, UNDEFINED_COLUMN } from '../sequelize/sqlstates.js'
import { allOf, type Condition } from './conditions.js'
import { epochMsSql, intervalSql } from './instant-sql.js'
import { backfillStartSql } from './maintenance.js'
import { isLockedSql } from './row-is-locked.js'
import { columnOf } from './row-options.js'
import type { SettledRows } from './row-rule.js'

/**
 * The state of an order under a rule; the first that holds. `dead`: a dead letter, whatever its row says. `none`: without a deadline,
 * and `where` does not hold; such orders are not counted. `unverified`: due, and waiting for an answer of `verify`. `retrying`, `locked` and `overdue` are due by now, and nothing
 * holds them back.
 */
const STATES = [
  ...(['dead', 'paused', 'undated', 'none', 'held', 'unverified', 'stale', 'retrying', 'locked', 'overdue', 'upcoming', 'later'] as const),
] as const

export type State = (typeof STATES)[number]

export interface OrderCountsQuery {
  days: number
  /** Counts orders without a deadline by the one that `backfill` will give them, unless `after` is a function. */
  asBackfilled?: boolean | undefined
  /** Counts only one order: the bind parameter with its id, such as `$1`. Arrays of failures are bound before it. */
  only?: string | undefined
  /** Binds two arrays: the ids of orders on which the rule failed, and `dead` or `retrying` of each. */
  knowsFailures: boolean
}

const SAMPLES = 5
const HOUR_MS = 3_600_000

/** A view has no xmax, and a role may lack the right to read pg_locks. */
export const CANNOT_SEE_LOCKS = [UNDEFINED_COLUMN, INSUFFICIENT_PRIVILEGE]

interface Classified {
  /** The FROM clause. */
  source: string
  /** The condition under which the rule applies. */
  applies: Condition[]
  /** The order's deadline, and its state, as expressions. */
  deadline: string
  state: string
  /** Whether the deadline is one that `backfill` will give. */
  isBackfilled: boolean
}

function classified(
  { guard, options, verification }: SettledRows,
  { days, asBackfilled = false, only, knowsFailures }: OrderCountsQuery,
  seesLocks: boolean,
): Classified {
  const { table, deadlineColumn } = guard
  const { pause } = columnOf(options) ?? {}
  const kept = pause ? `${table.column(pause.keep)} IS NOT NULL` : 'FALSE'
  const failed = knowsFailures
    ? ` LEFT JOIN unnest($1::text[], $2::text[]) AS order_timers_failed (order_timers_failed_id, order_timers_failure)
  ON order_timers_failed_id = ${table.id}::text`
    : ''
  const source = `${table.aliased}${failed}`
  const applies = [guard.appliesSql, guard.notDeletedSql, only && `${table.id} = ${only}`]
  const backfilled = asBackfilled ? backfilledDeadline({ guard, options }) : undefined
  const deadline = backfilled
    ? `CASE WHEN ${deadlineColumn} IS NULL AND NOT ${kept} THEN ${backfilled} ELSE ${guard.deadlineSql} END`
    : guard.deadlineSql
  const isDue = `${deadline} <= now()`
  const cases: [Condition, State][] = [
    [knowsFailures ? "order_timers_failure = 'dead'" : undefined, 'dead'],
    [`${deadline} IS NULL AND ${kept}`, 'paused'],
    [allOf([`${deadline} IS NULL`, guard.eligibleSql]), 'undated'],
    [`${deadline} IS NULL`, 'none'],
    [`(${guard.eligibleSql}) IS NOT TRUE`, 'held'],
    [verification && allOf([isDue, verification.unverified.waitsSql]), 'unverified'],
    [allOf([`${deadline} <= ${guard.staleLineSql}`, guard.waitedSql && `NOT ${guard.waitedSql}`]), 'stale'],
    [knowsFailures ? `${isDue} AND order_timers_failure = 'retrying'` : undefined, 'retrying'],
    [seesLocks ? `${isDue} AND ${isLockedSql(table.alias)}` : undefined, 'locked'],
    [isDue, 'overdue'],
    [`${deadline} < now() + ${intervalSql(days * 24 * HOUR_MS)}`, 'upcoming'],
  ]
  const whens = cases.flatMap(([condition, then]) => (condition === undefined ? [] : [`WHEN ${condition} THEN '${then}'`]))
  const state = `CASE ${whens.join('\n    ')}\n    ELSE 'later' END`
  return { source, applies, deadline, state, isBackfilled: backfilled !== undefined }
}

/** One page of the orders in one state, by deadline: binds the arrays of failures, then the deadline in milliseconds and the id of the previous page's last row, or NULL. */
export function ordersInStateSql(
  rows: SettledRows,
  { states, limit, knowsFailures }: { states: readonly State[]; limit: number; knowsFailures: boolean },
  seesLocks: boolean,
): string {
  const { table } = rows.guard
  const { source, applies, deadline, state } = classified(rows, { days: 1, knowsFailures }, seesLocks)
  const [afterMs, afterId] = knowsFailures ? ['$3', '$4'] : ['$1', '$2']
  const isAfter = `($A::float8 IS NULL OR (coalesce(deadline_ms, 'infinity'), id) > ($A::float8, $I::text))`
    .replaceAll('$A', () => afterMs)
    .replaceAll('$I', () => afterId)
  return `SELECT id, deadline_ms FROM (SELECT ${table.id}::text AS id, ${epochMsSql(deadline)} AS deadline_ms, ${state} AS state
  FROM ${source} WHERE ${allOf(applies)}) AS orders
WHERE state IN (${states.map((one) => `'${one}'`).join(', ')}) AND ${isAfter} ORDER BY coalesce(deadline_ms, 'infinity'), id LIMIT ${limit}`
}

/** Counts by state and hour, and the first of each state that has deadlines. */
export function orderCountsSql(rows: SettledRows, query: OrderCountsQuery, seesLocks: boolean): string {
  const { guard } = rows
  const { table, deadlineColumn } = guard
  const { source, applies, deadline, state, isBackfilled } = classified(rows, query, seesLocks)
  // With only the column on the left, so that an index on it can be used.
  const is = (operator: '<=' | '>', instant: string) =>
    isBackfilled ? `${deadline} ${operator} ${instant}` : guard.deadlineIs(operator, instant)
  // Milliseconds are computed only for the orders that are shown.
  const sample = (of: State, states: State[], ...range: string[]) => {
    const isOneOf = `${state} IN (${states.map((one) => `'${one}'`).join(', ')})`
    return `SELECT '${of}', NULL, NULL, NULL, id::text, ${epochMsSql('deadline')}
FROM (SELECT ${table.id} AS id, ${deadline} AS deadline FROM ${source}
  WHERE ${allOf([...applies, ...range, `${deadline} IS NOT NULL`, isOneOf])}
  ORDER BY ${isBackfilled ? deadline : deadlineColumn}, ${table.id} LIMIT ${SAMPLES}) AS first`
  }
  return `SELECT state, CASE WHEN state = 'upcoming' THEN floor(date_part('epoch', deadline) / 3600)::int END AS hour, count(*)::int AS count,
  (count(*) FILTER (WHERE state IN ('upcoming', 'later') AND deadline <= now() + interval '1 hour'))::int AS soon,
  NULL::text AS id, NULL::float8 AS deadline_ms
FROM (SELECT ${deadline} AS deadline, ${state} AS state FROM ${source} WHERE ${allOf(applies)}) AS orders GROUP BY 1, 2
UNION ALL ${sample('overdue', ['overdue'], is('<=', 'now()'), is('>', guard.staleLineSql))}
UNION ALL ${sample('locked', ['locked'], is('<=', 'now()'), is('>', guard.staleLineSql))}
UNION ALL ${sample('stale', ['stale'], is('<=', guard.staleLineSql))}
UNION ALL ${sample('upcoming', ['upcoming', 'later'], is('>', 'now()'))}`
}

/** The deadline that the sweep will write if there is none; undefined if it writes none, or `after` is a function. */
function backfilledDeadline({ guard, options }: Pick<SettledRows, 'guard' | 'options'>): string | undefined {
  const { backfill, after } = columnOf(options) ?? {}
  if (!backfill || typeof after !== 'number') return undefined
  return `(${backfillStartSql(guard, backfill.since)} + ${intervalSql(after)})`
}
