// Counts a rule's orders by state, in one statement and one read-only transaction: each order once, under the first state that applies
// (rows/order-counts-sql.ts). `plan`, `sweep` and `status` all count this way. Nothing is written, locked or armed.

import type { FailedIds } from '../redis/failed-timers.js'
import { noteHeldTime } from '../rows/held-time.js'
import { orderCountsSql, type State } from '../rows/order-counts-sql.js'
import type { SettledRows } from '../rows/row-rule.js'
import { readOnly } from './read-only.js'

export interface Sample {
  id: string
  deadline: Date
}

export interface OrderCounts {
  /** Due, and nothing blocks them: the next sweep settles them. */
  overdue: number
  /** Due, failed, and waiting for the next attempt. Undefined if the failures are not known: then they count as overdue. */
  retrying: number | undefined
  /** Due, and another transaction has locked the row: settled once that has ended. */
  locked: number
  /** Dead letters: nothing settles them until `retry`. Undefined if the failures are not known. */
  dead: number | undefined
  /** Overdue by more than `staleAfter`: reported, and not settled. */
  stale: number
  /** The rule applies to them, its `where` holds, and they have no deadline; also those to which `backfill` gives none (`cancel`). */
  undated: number
  paused: number
  /** They have a deadline, due or not, and `where` or `pause.while` holds them back; or they are due, and the rule is held. */
  held: number
  /** Due, and waiting for an answer of `verify`. */
  unverified: number
  /** Due within the days asked for, and after them. */
  upcoming: number
  later: number
  /** All of them together, each order once. */
  total: number
  /** Due within an hour from now; part of `upcoming` and `later`. */
  withinHour: number
  /** How many are due in each hour of those days, from its beginning `from`. Hours in which nothing is due are left out. */
  hours: { from: Date; count: number }[]
  /** The first orders of each state by deadline. */
  samples: Record<'overdue' | 'locked' | 'stale' | 'upcoming', Sample[]>
  /** How long Postgres took, in milliseconds. */
  queryMs: number
}

/**
 * The states of orders, as `status`, health, metrics and the page name them. Each order is in one.
 * `OrderCounts` explains each.
 */
export interface OrderStates {
  /** Their deadline is in the future, and nothing holds them back. */
  pending: number
  /** Due without an excuse: neither `where`, a pause, a coming attempt, a lock nor `staleAfter`. A brake may excuse them. */
  overdue: number
  retrying: number | undefined
  locked: number
  dead: number | undefined
  stale: number
  held: number
  unverified: number
  paused: number
  undated: number
}

export const ORDER_STATES = [
  ...([
    'pending',
    'overdue',
    'retrying',
    'locked',
    'dead',
    'stale',
    'held',
    'unverified',
    'paused',
    'undated',
  ] as const satisfies (keyof OrderStates)[]),
]

export function statesOf(counts: OrderCounts): OrderStates {
  const { upcoming, later, overdue, retrying, locked, dead, stale, held, unverified, paused, undated } = counts
  return { pending: upcoming + later, overdue, retrying, locked, dead, stale, held, unverified, paused, undated }
}

/** The earliest deadline of those that count as `overdue`; null if there are none. */
export function oldestOverdue({ samples }: OrderCounts): Date | null {
  return samples.overdue[0]?.deadline ?? null
}

export interface CountOptions {
  days: number
  /** Counts only this order. */
  id?: string
  /** How long Postgres may count, in milliseconds. Default: two minutes. */
  statementMs?: number
  /** Counts orders without a deadline under the one that `backfill` will give them, unless `after` is a function. */
  asBackfilled?: boolean
  /** The orders on which the rule failed, from Redis; undefined if that is not known. */
  failed?: FailedIds | undefined
}

interface Row {
  state: State
  hour: number | null
  count: number | null
  soon: number | null
  id: string | null
  deadline_ms: number | null
}

const HOUR_MS = 3_600_000
const LOCK_MS = 2_000
const STATEMENT_MS = 120_000
const IDLE_MS = 10_000

/**
 * @param row a rule over rows that has its deadlines there (`row.pending`)
 * @throws what Postgres or Sequelize throws
 */
export async function countOrders(row: SettledRows, options: CountOptions): Promise<OrderCounts> {
  await noteHeldTime(row)
  const { found, queryMs } = await readCounts(row, options)
  const counted = found.filter((one) => one.count !== null)
  const sum = (state: State, column: 'count' | 'soon' = 'count') =>
    counted.reduce((total, one) => total + (one.state === state ? (one[column] ?? 0) : 0), 0)
  const sample = (state: State) =>
    found
      .filter((one) => one.id !== null && one.state === state)
      .map((one) => ({ id: one.id as string, deadline: new Date(one.deadline_ms as number) }))
  const { failed } = options
  const dead = failed?.dead.length
  const [due, retrying, locked, stale, undated] = [sum('overdue'), sum('retrying'), sum('locked'), sum('stale'), sum('undated')]
  const [paused, heldBack, unverified, upcoming, later] = [sum('paused'), sum('held'), sum('unverified'), sum('upcoming'), sum('later')]
  const isHeld = due > 0 && (await row.holds.standing()).length > 0
  const [overdue, held] = isHeld ? [0, heldBack + due] : [due, heldBack]
  return {
    overdue,
    retrying: failed && retrying,
    locked,
    dead,
    ...{ stale, undated, paused, held, unverified, upcoming, later },
    total: overdue + retrying + locked + (dead ?? 0) + stale + undated + paused + held + unverified + upcoming + later,
    withinHour: sum('upcoming', 'soon') + sum('later', 'soon'),
    hours: counted
      .flatMap(({ hour, count }) => (hour === null ? [] : [{ from: new Date(hour * HOUR_MS), count: count as number }]))
      .sort((a, b) => a.from.getTime() - b.from.getTime()),
    samples: { overdue: isHeld ? [] : sample('overdue'), locked: sample('locked'), stale: sample('stale'), upcoming: sample('upcoming') },
    queryMs,
  }
}

async function readCounts(row: SettledRows, options: CountOptions): Promise<{ found: Row[]; queryMs: number }> {
  const { sequelize } = row.guard.table
  const { dead, retrying } = options.failed ?? { dead: [], retrying: [] }
  const ids = [...dead, ...retrying]
  const bind: unknown[] = ids.length === 0 ? [] : [ids, [...dead.map(() => 'dead'), ...retrying.map(() => 'retrying')]]
  const { days, asBackfilled, id, statementMs = STATEMENT_MS } = options
  const limits = { lockMs: LOCK_MS, statementMs, idleMs: IDLE_MS }
  const only = id === undefined ? undefined : `$${bind.push(id)}`
  const wanted = { days, asBackfilled, only, knowsFailures: ids.length > 0 }
  const { found, queryMs } = await readOnly<Row>(sequelize, limits, bind, (seesLocks) => orderCountsSql(row, wanted, seesLocks))
  return { found, queryMs }
}
