// How a rule's orders stand, counted in one statement and one read-only transaction: what is overdue, stale, without a deadline, held, and how
// much comes due in each hour. Nothing is written, locked or armed.

import { inTransaction, rows } from '../rules/database.js'
import { milliseconds, RowGuard } from '../rules/row-guard.js'
import type { RowRule } from '../rules/rule.js'

/** How an order stands under a rule. `none`: without a deadline, and not to have one (`cancel`, or `where` does not hold). */
type State = 'overdue' | 'stale' | 'undated' | 'paused' | 'held' | 'upcoming' | 'later' | 'none'

export interface Sample {
  id: string
  deadline: Date
}

export interface Census {
  /** Due by now: the next sweep settles them. */
  overdue: number
  /** Overdue by more than `staleAfter`: reported, and not settled. */
  stale: number
  /** Where the rule applies and its `where` holds, and without a deadline. */
  undated: number
  paused: number
  /** Dated, and held back by `where` or `pause.while`. */
  held: number
  /** Due within the days asked for, and after them. */
  upcoming: number
  later: number
  /** Due within an hour from now. */
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
  const { sequelize } = row.guard.table
  const sql = censusSql(row, options)
  const { found, queryMs } = await inTransaction(sequelize, LIMITS, async (transaction) => {
    await rows(sequelize, 'SET TRANSACTION READ ONLY', [], transaction)
    await rows(sequelize, 'SET LOCAL jit = off', [], transaction) // compiling takes longer than the few expressions do
    const startedAt = performance.now()
    return { found: await rows<Row>(sequelize, sql, [], transaction), queryMs: performance.now() - startedAt }
  })
  const counted = found.filter((one) => one.count !== null)
  const sum = (column: 'count' | 'soon', ...states: State[]) =>
    counted.reduce((total, one) => total + (states.length === 0 || states.includes(one.state) ? (one[column] ?? 0) : 0), 0)
  const sample = (state: State) =>
    found
      .filter((one) => one.id !== null && one.state === state)
      .map((one) => ({ id: one.id as string, deadline: new Date(one.deadline_ms as number) }))
  return {
    overdue: sum('count', 'overdue'),
    stale: sum('count', 'stale'),
    undated: sum('count', 'undated'),
    paused: sum('count', 'paused'),
    held: sum('count', 'held'),
    upcoming: sum('count', 'upcoming'),
    later: sum('count', 'later'),
    withinHour: sum('soon'),
    hours: counted
      .flatMap(({ hour, count }) => (hour === null ? [] : [{ from: new Date(hour * HOUR_MS), count: count as number }]))
      .sort((a, b) => a.from.getTime() - b.from.getTime()),
    samples: { overdue: sample('overdue'), stale: sample('stale'), upcoming: sample('upcoming') },
    queryMs,
  }
}

/** Counts by state and hour, and the first of each state that has deadlines. */
function censusSql({ guard, options }: RowRule, { days, asBackfilled = false }: CensusOptions): string {
  const { table, deadlineColumn } = guard
  const kept = options.pause ? `${table.column(options.pause.keep)} IS NOT NULL` : 'FALSE'
  const source = `FROM ${table.aliased} WHERE ${guard.applies}${guard.paranoid}`
  const backfilled = asBackfilled ? backfilledDeadline({ guard, options }) : undefined
  const deadline = backfilled
    ? `CASE WHEN ${deadlineColumn} IS NULL AND NOT ${kept} THEN ${backfilled} ELSE ${guard.deadline} END`
    : guard.deadline
  const state = `CASE WHEN ${deadline} IS NULL AND ${kept} THEN 'paused'
    ${backfilled ? '' : `WHEN ${deadlineColumn} IS NULL${guard.eligible} THEN 'undated'`}
    WHEN ${deadline} IS NULL THEN 'none'
    WHEN (TRUE${guard.eligible}) IS NOT TRUE THEN 'held'
    WHEN ${deadline} <= ${guard.staleLine} THEN 'stale'
    WHEN ${deadline} <= now() THEN 'overdue'
    WHEN ${deadline} < now() + ${milliseconds(days * 24 * HOUR_MS)} THEN 'upcoming'
    ELSE 'later' END`
  // With the column alone on the left, so that an index on it serves.
  const is = (operator: '<=' | '>', instant: string) =>
    backfilled ? `${deadline} ${operator} ${instant}` : guard.deadlineIs(operator, instant)
  // Milliseconds are reckoned for those that are shown alone.
  const sample = (of: State, ...range: string[]) => `SELECT '${of}', NULL, NULL, NULL, id::text, ${RowGuard.epochMs('deadline')}
FROM (SELECT ${table.id} AS id, ${deadline} AS deadline ${source}${guard.eligible} AND ${range.join(' AND ')} AND ${deadline} IS NOT NULL
  ORDER BY ${backfilled ? deadline : deadlineColumn}, ${table.id} LIMIT ${SAMPLES}) AS first`
  return `SELECT state, CASE WHEN state = 'upcoming' THEN floor(date_part('epoch', deadline) / 3600)::int END AS hour, count(*)::int AS count,
  (count(*) FILTER (WHERE state IN ('upcoming', 'later') AND deadline <= now() + interval '1 hour'))::int AS soon,
  NULL::text AS id, NULL::float8 AS deadline_ms
FROM (SELECT ${deadline} AS deadline, ${state} AS state ${source}) AS orders GROUP BY 1, 2
UNION ALL ${sample('overdue', is('<=', 'now()'), is('>', guard.staleLine))}
UNION ALL ${sample('stale', is('<=', guard.staleLine))}
UNION ALL ${sample('upcoming', is('>', 'now()'))}`
}

/** What the sweep will write where there is no deadline; none where it writes nothing, or a function of the shop's says what. */
function backfilledDeadline({ guard, options }: Pick<RowRule, 'guard' | 'options'>): string | undefined {
  const { backfill, after } = options
  if (!backfill || typeof after !== 'number') return undefined
  const since = backfill.since === undefined ? 'now()' : `coalesce(${guard.table.column(backfill.since)}, now())`
  return `(${since} + ${milliseconds(after)})`
}
