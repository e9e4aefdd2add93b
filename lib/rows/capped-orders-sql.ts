// Statements over a rule's orders for a page that must answer at once, however many there are. Each range of deadlines is read in the order of its
// index, up to a cap, and each order in it gets its state. The states are those of order-counts-sql.ts, which counts all orders.

import { CAP } from './cap.js'
import { allOf, type Condition } from './conditions.js'
import { epochMsSql } from './instant-sql.js'
import { isLockedSql } from './row-is-locked.js'
import type { SettledRows } from './row-rule.js'

/** The states of orders that have a deadline, except `paused`. Dead letters are not counted here: Redis has their number. */
export type ListedState = 'pending' | 'overdue' | 'retrying' | 'locked' | 'dead' | 'stale' | 'held' | 'unverified'

type Range = 'pending' | 'due' | 'stale'

/** The ranges that can contain orders of a state. */
const RANGES: Record<ListedState, readonly Range[]> = {
  pending: ['pending'],
  overdue: ['due'],
  retrying: ['due'],
  locked: ['due'],
  dead: ['stale', 'due', 'pending'],
  stale: ['stale'],
  held: ['due', 'pending'],
  unverified: ['due'],
}

/** Settings of each reading transaction. The ids of many dead letters must fit into a hash, and JIT compilation takes longer than the statement. */
export const LOOK_SETTINGS = `SET TRANSACTION READ ONLY; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'`

/**
 * The same for these statements. In index order they end at their cap; a bitmap or sequential scan would first read everything
 * and sorted.
 */
export const CAPPED_LOOK_SETTINGS = `${LOOK_SETTINGS}; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off`

/** `$1`: ids of dead letters; `$2`: of orders that are tried again. @param isHeld whether the rule is held: then orders without another excuse count as held */
const stateSql = (
  isHeld = false,
) => `CASE WHEN dead THEN 'dead' WHEN NOT eligible THEN 'held' WHEN waits THEN 'unverified' WHEN range = 'stale' THEN 'stale' WHEN range = 'pending' THEN 'pending'
  WHEN found.id::text IN (SELECT unnest($2::text[])) THEN 'retrying' WHEN locked THEN 'locked' ELSE '${isHeld ? 'held' : 'overdue'}' END`

/** A row for each state in which there are orders: `state`, `count`, and the first and last deadline of those counted; and `now`, with Postgres's time as `first`. */
export function cappedCountsSql(row: SettledRows, seesLocks: boolean, isHeld = false): string {
  const ranges = (['pending', 'due', 'stale'] as const).map((range) => `(${rangeSql(row, range, { seesLocks, limit: CAP + 1 })})`)
  return `SELECT ${stateSql(isHeld)} AS state, count(*)::int AS count, ${epochMsSql('min(deadline)')} AS first, ${epochMsSql('max(deadline)')} AS last
FROM (${ranges.join('\nUNION ALL ')}) AS found GROUP BY 1
UNION ALL SELECT 'now', 0, ${epochMsSql('now()')}, NULL`
}

export interface PageQuery {
  state: ListedState
  /** Whether the page continues after a deadline (`$4`, microseconds since 1970), or after an order with it (`$5`). */
  after: 'deadline' | 'order' | 'before deadline' | undefined
  /** Only orders that are due within this many milliseconds from now: `$6`, `$5` or `$4`, after the others. */
  within: boolean
  seesLocks: boolean
  /** Whether the rule is held. */
  isHeld?: boolean
  /** How many orders are read at most; the cap by default. */
  most?: number
}

/**
 * A page of the orders in one state, by deadline and id; `$3` is its size. At most `most` rows of the range are read, so a page may be shorter than
 * that and not be the last. The last row, without an id, has Postgres's time and, if `most` rows were read, where the next page continues.
 */
export function pageSql(row: SettledRows, { state, after, within, seesLocks, isHeld, most = CAP }: PageQuery): string {
  const { guard } = row
  let next = 4
  const parameter = () => `$${next++}`
  const micros = after && `(timestamptz 'epoch' + ${parameter()}::bigint * interval '1 microsecond')`
  const conditions: Condition[] = []
  if (micros && after === 'before deadline') conditions.push(guard.deadlineIs('>=', micros))
  if (micros && after === 'deadline') conditions.push(guard.deadlineIs('>', micros))
  if (micros && after === 'order') {
    conditions.push(guard.deadlineIs('>=', micros), `(${guard.deadlineIs('>', micros)} OR ${guard.table.id} > ${parameter()})`)
  }
  if (within) conditions.push(guard.deadlineIs('<=', `now() + ${parameter()}::float8 * interval '1 millisecond'`))
  const found = RANGES[state].map(
    (range) => `(${rangeSql(row, range, { seesLocks, limit: most, conditions, isPage: true, dead: state === 'dead' })})`,
  )
  const read = `SELECT * FROM (${found.join('\nUNION ALL ')}) AS ranges ORDER BY deadline, id LIMIT ${most}`
  return `WITH found AS MATERIALIZED (${read})
(SELECT found.id::text AS id, ${epochMsSql('deadline')} AS deadline_ms, ${microsSql('deadline')} AS micros
FROM found WHERE ${stateSql(isHeld)} = '${state}' ORDER BY deadline, found.id LIMIT $3)
UNION ALL
(SELECT NULL, ${epochMsSql('now()')}, CASE (SELECT count(*) FROM found) WHEN ${most} THEN (SELECT ${microsSql('max(deadline)')} FROM found) END)`
}

/** How many pending orders there are in each slice of time, of the first that are due. `$1` and `$2` as above; `$3`: milliseconds from now; `$4`: seconds of a slice. */
export function slicesSql(row: SettledRows): string {
  const conditions = [row.guard.deadlineIs('<=', `now() + $3::float8 * interval '1 millisecond'`)]
  const pending = rangeSql(row, 'pending', { seesLocks: false, limit: CAP + 1, conditions })
  return `SELECT (floor(date_part('epoch', deadline) / $4::float8) * $4::float8 * 1000)::float8 AS from_ms, count(*)::int AS count
FROM (${pending}) AS found WHERE ${stateSql()} = 'pending' GROUP BY 1 ORDER BY 1`
}

interface RangeOptions {
  seesLocks: boolean
  limit: number
  conditions?: readonly Condition[]
  /** Orders with one deadline are sorted by their ids. */
  isPage?: boolean
  /** Only dead letters. */
  dead?: boolean
}

function rangeSql(
  { guard, verification }: SettledRows,
  range: Range,
  { seesLocks, limit, conditions = [], isPage = false, dead = false }: RangeOptions,
): string {
  const { table, deadlineColumn, deadlineSql } = guard
  const within: Condition[] = {
    pending: [guard.deadlineIs('>', 'now()')],
    due: [guard.deadlineIs('<=', 'now()'), guard.deadlineIs('>', guard.staleLineSql)],
    stale: [guard.deadlineIs('<=', guard.staleLineSql)],
  }[range]
  const locked = range === 'due' && seesLocks ? isLockedSql(table.alias) : 'FALSE'
  // Here and not after the limit: otherwise many dead letters, which are the oldest due orders, would hide the others.
  const isAsked = `${table.id}::text ${dead ? 'IN' : 'NOT IN'} (SELECT unnest($1::text[]))`
  // `backfill`'s mark for "no timer" is a value in the column, but not a deadline of the order.
  const where = allOf([guard.appliesSql, guard.notDeletedSql, ...within, ...conditions, `${deadlineSql} IS NOT NULL`, isAsked])
  const waits = range === 'due' && verification ? verification.unverified.waitsSql : 'FALSE'
  return `SELECT '${range}' AS range, ${table.id} AS id, ${deadlineSql} AS deadline, (${guard.eligibleSql}) IS TRUE AS eligible, ${waits} AS waits, ${locked} AS locked, ${dead ? 'TRUE' : 'FALSE'} AS dead
  FROM ${table.aliased} WHERE ${where} ORDER BY ${deadlineColumn}${isPage ? `, ${table.id}` : ''} LIMIT ${limit}`
}

/** Whole microseconds since 1970 as text; NULL for infinity. */
function microsSql(instant: string): string {
  return `CASE WHEN isfinite(${instant}) THEN (extract(epoch from ${instant}) * 1000000)::bigint::text END`
}
