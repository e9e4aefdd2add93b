// How a rule's orders stand, counted in one statement and one read-only transaction: each order once, under the first state of STATES that it is
// in. `plan`, `sweep` and `status` all count by this. Nothing is written, locked or armed.

import type { Failure } from '../redis/due-index.js'
import { instantSql } from '../rows/instants.js'
import { inTransaction, rows } from '../rules/database.js'
import { milliseconds, RowGuard } from '../rules/row-guard.js'
import type { RowRule } from '../rules/rule.js'
import { sqlStateOf } from '../sequelize/whose-fault.js'
import { countDead } from './kept-failures.js'
import { isLockedSql } from './locked-rows.js'

/**
 * How an order stands under a rule; the first that holds. `dead`: a dead letter, whatever its row says. `none`: without a deadline,
 * and `where` does not hold; such orders are not counted. `retrying`, `locked` and `overdue` are due by now, and nothing
 * holds them back.
 */
const STATES = ['dead', 'paused', 'undated', 'none', 'held', 'stale', 'retrying', 'locked', 'overdue', 'upcoming', 'later'] as const

type State = (typeof STATES)[number]

export interface Sample {
  id: string
  deadline: Date
}

export interface Census {
  /** Due by now, and nothing in the way: the next sweep settles them. */
  overdue: number
  /** Due by now, failed, and waiting for another attempt. None where the failures are not known; they are counted as overdue then. */
  retrying: number | undefined
  /** Due by now, and somebody's transaction has the row: settled once that has ended. */
  locked: number
  /** Dead letters: nothing settles them until `retry`. None where the failures are not known. */
  dead: number | undefined
  /** Overdue by more than `staleAfter`: reported, and not settled. */
  stale: number
  /** Where the rule applies and its `where` holds, and without a deadline, also where `backfill` gives them none (`cancel`). */
  undated: number
  paused: number
  /** Dated, and held back by `where` or `pause.while`, due or not. */
  held: number
  /** Due within the days asked for, and after them. */
  upcoming: number
  later: number
  /** All of them together, each order once. */
  total: number
  /** Due within an hour from now; part of `upcoming` and `later`. */
  withinHour: number
  /** What is due within those days by the hour; hours in which nothing is due are left out. `from` is the hour's beginning. */
  hours: { from: Date; count: number }[]
  /** The first of each, by their deadlines. */
  samples: Record<'overdue' | 'stale' | 'upcoming', Sample[]>
  /** How long Postgres took, in milliseconds. */
  queryMs: number
}

export interface CensusOptions {
  days: number
  /** Counts orders without a deadline under the one that `backfill` will give them, where that is not for a function to say. */
  asBackfilled?: boolean
  /** What Redis keeps of orders on which the rule failed; none where it is not known. */
  failures?: ReadonlyMap<string, Failure> | undefined
}

interface Row {
  state: State
  hour: number | null
  count: number | null
  soon: number | null
  id: string | null
  deadline_ms: number | null
}

const SAMPLES = 5
const HOUR_MS = 3_600_000
const LIMITS = { lockMs: 2_000, statementMs: 120_000, idleMs: 10_000 }

/**
 * @param row a rule over rows that has its deadlines there (`row.pending`)
 * @throws what Postgres or Sequelize throws
 */
export async function takeCensus(row: RowRule, options: CensusOptions): Promise<Census> {
  const { found, queryMs } = await readCensus(row, options)
  const counted = found.filter((one) => one.count !== null)
  const sum = (state: State, column: 'count' | 'soon' = 'count') =>
    counted.reduce((total, one) => total + (one.state === state ? (one[column] ?? 0) : 0), 0)
  const sample = (state: State) =>
    found
      .filter((one) => one.id !== null && one.state === state)
      .map((one) => ({ id: one.id as string, deadline: new Date(one.deadline_ms as number) }))
  const { failures } = options
  const dead = countDead(failures)
  const [overdue, retrying, locked, stale, undated] = [sum('overdue'), sum('retrying'), sum('locked'), sum('stale'), sum('undated')]
  const [paused, held, upcoming, later] = [sum('paused'), sum('held'), sum('upcoming'), sum('later')]
  return {
    overdue,
    retrying: failures && retrying,
    locked,
    dead,
    ...{ stale, undated, paused, held, upcoming, later },
    total: overdue + retrying + locked + (dead ?? 0) + stale + undated + paused + held + upcoming + later,
    withinHour: sum('upcoming', 'soon') + sum('later', 'soon'),
    hours: counted
      .flatMap(({ hour, count }) => (hour === null ? [] : [{ from: new Date(hour * HOUR_MS), count: count as number }]))
      .sort((a, b) => a.from.getTime() - b.from.getTime()),
    samples: { overdue: sample('overdue'), stale: sample('stale'), upcoming: sample('upcoming') },
    queryMs,
  }
}

async function readCensus(row: RowRule, options: CensusOptions): Promise<{ found: Row[]; queryMs: number }> {
  const { sequelize } = row.guard.table
  const failures = [...(options.failures ?? [])]
  const bind = failures.length === 0 ? [] : [failures.map(([id]) => id), failures.map(([, { dead }]) => (dead ? 'dead' : 'retrying'))]
  const read = (sql: string) =>
    inTransaction(sequelize, LIMITS, async (transaction) => {
      await rows(sequelize, 'SET TRANSACTION READ ONLY', [], transaction)
      await rows(sequelize, 'SET LOCAL jit = off', [], transaction) // compiling takes longer than the few expressions do
      const startedAt = performance.now()
      return { found: await rows<Row>(sequelize, sql, bind, transaction), queryMs: performance.now() - startedAt }
    })
  try {
    return await read(censusSql(row, options, true))
  } catch (error) {
    if (!HAS_NO_XMAX.includes(sqlStateOf(error) ?? '')) throw error
    return await read(censusSql(row, options, false))
  }
}

/** A view has no xmax (undefined_column), and a role may be refused pg_locks (insufficient_privilege). */
const HAS_NO_XMAX = ['42703', '42501']

/** Counts by state and hour, and the first of each state that has deadlines. */
function censusSql({ guard, options }: RowRule, { days, asBackfilled = false, failures }: CensusOptions, seesLocks: boolean): string {
  const { table, deadlineColumn } = guard
  const kept = options.pause ? `${table.column(options.pause.keep)} IS NOT NULL` : 'FALSE'
  const knows = failures !== undefined && failures.size > 0
  const failed = knows
    ? ` LEFT JOIN unnest($1::text[], $2::text[]) AS order_timers_failed (order_timers_failed_id, order_timers_failure)
  ON order_timers_failed_id = ${table.id}::text`
    : ''
  const source = `FROM ${table.aliased}${failed} WHERE ${guard.applies}${guard.paranoid}`
  const backfilled = asBackfilled ? backfilledDeadline({ guard, options }) : undefined
  const deadline = backfilled
    ? `CASE WHEN ${deadlineColumn} IS NULL AND NOT ${kept} THEN ${backfilled} ELSE ${guard.deadline} END`
    : guard.deadline
  const state = `CASE ${knows ? "WHEN order_timers_failure = 'dead' THEN 'dead'" : ''}
    WHEN ${deadline} IS NULL AND ${kept} THEN 'paused'
    WHEN ${deadline} IS NULL${guard.eligible} THEN 'undated'
    WHEN ${deadline} IS NULL THEN 'none'
    WHEN (TRUE${guard.eligible}) IS NOT TRUE THEN 'held'
    WHEN ${deadline} <= ${guard.staleLine} THEN 'stale'
    ${knows ? `WHEN ${deadline} <= now() AND order_timers_failure = 'retrying' THEN 'retrying'` : ''}
    ${seesLocks ? `WHEN ${deadline} <= now() AND ${isLockedSql(table.alias)} THEN 'locked'` : ''}
    WHEN ${deadline} <= now() THEN 'overdue'
    WHEN ${deadline} < now() + ${milliseconds(days * 24 * HOUR_MS)} THEN 'upcoming'
    ELSE 'later' END`
  // With the column alone on the left, so that an index on it serves.
  const is = (operator: '<=' | '>', instant: string) =>
    backfilled ? `${deadline} ${operator} ${instant}` : guard.deadlineIs(operator, instant)
  // Milliseconds are reckoned for those that are shown alone.
  const sample = (
    of: State,
    states: State[],
    ...range: string[]
  ) => `SELECT '${of}', NULL, NULL, NULL, id::text, ${RowGuard.epochMs('deadline')}
FROM (SELECT ${table.id} AS id, ${deadline} AS deadline ${source} AND ${range.join(' AND ')} AND ${deadline} IS NOT NULL
  AND ${state} IN (${states.map((one) => `'${one}'`).join(', ')})
  ORDER BY ${backfilled ? deadline : deadlineColumn}, ${table.id} LIMIT ${SAMPLES}) AS first`
  return `SELECT state, CASE WHEN state = 'upcoming' THEN floor(date_part('epoch', deadline) / 3600)::int END AS hour, count(*)::int AS count,
  (count(*) FILTER (WHERE state IN ('upcoming', 'later') AND deadline <= now() + interval '1 hour'))::int AS soon,
  NULL::text AS id, NULL::float8 AS deadline_ms
FROM (SELECT ${deadline} AS deadline, ${state} AS state ${source}) AS orders GROUP BY 1, 2
UNION ALL ${sample('overdue', ['overdue'], is('<=', 'now()'), is('>', guard.staleLine))}
UNION ALL ${sample('stale', ['stale'], is('<=', guard.staleLine))}
UNION ALL ${sample('upcoming', ['upcoming', 'later'], is('>', 'now()'))}`
}

/** What the sweep will write where there is no deadline; none where it writes nothing, or a function of the shop's says what. */
function backfilledDeadline({ guard, options }: Pick<RowRule, 'guard' | 'options'>): string | undefined {
  const { backfill, after } = options
  if (!backfill || typeof after !== 'number') return undefined
  const since = backfill.since === undefined ? 'now()' : `coalesce(${instantSql(guard.table.column(backfill.since))}, now())`
  return `(${since} + ${milliseconds(after)})`
}
