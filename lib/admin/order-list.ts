// `order-timers list`: one rule's orders in one state, by deadline, page by page. For a rule whose deadlines are only in Redis, its timers there.
// Reads only.

import { OrderTimersError } from '../errors.js'
import { type ListedState, type PageQuery, pageSql } from '../rows/capped-orders-sql.js'
import { noteHeldTime } from '../rows/held-time.js'
import type { RowRule } from '../rows/row-rule.js'
import { isSwept, type ShopRule } from '../rules/rule.js'
import type { StatementLimits } from '../sequelize/statement-limits.js'
import { codedErrors } from '../timers/coded-errors.js'
import type { Runtime } from '../timers/runtime.js'
import { invalid } from './actions/request.js'
import { keptFailures } from './kept-failures.js'
import { readOnly } from './read-only.js'

export const LISTED_STATES = [
  ...(['pending', 'overdue', 'retrying', 'locked', 'dead', 'stale', 'held', 'unverified'] as const satisfies ListedState[]),
]

export const MOST_LISTED = 10_000

const LIMITS: StatementLimits = { lockMs: 300, statementMs: 30_000, idleMs: 5_000 }
const WAIT_MS = 5_000

export interface ListQuery {
  state: ListedState
  /** How many orders a page has, from 1 to 10,000. */
  limit: number
  /** The `next` of the previous page. */
  after: string | undefined
}

export interface OrderList {
  kind: string
  state: ListedState
  /** By deadline, then by id. */
  orders: { id: string; deadline: Date | null }[]
  /** Where the next page begins; null if there is none. */
  next: string | null
  /** The clock by which orders are due: Postgres's, or Redis's if the deadlines are only there. */
  now: Date
}

/** @throws OrderTimersError UNKNOWN_KIND, INVALID_ACTION, INVALID_MODEL, POSTGRES_UNAVAILABLE, REDIS_UNAVAILABLE; what Postgres throws */
export function listOrders(runtime: Runtime, kind: string, query: ListQuery): Promise<OrderList> {
  return codedErrors(runtime.redis?.source.describe() ?? '', async () => {
    const rule = runtime.rule(kind)
    const place = parsePlace(query.after)
    return isSwept(rule) ? ofRows(runtime, kind, rule.row, query, place) : ofRedis(runtime, rule, query, place)
  })
}

/** Microseconds since 1970, and the id of the last order if the page ended with one. */
interface Place {
  micros: string
  id: string | undefined
}

function parsePlace(after: string | undefined): Place | undefined {
  if (after === undefined) return undefined
  const [, micros, id] = /^(-?\d{1,18})(?:\.(.+))?$/s.exec(after) ?? []
  if (micros === undefined) throw invalid('"after" must be the `next` of a page')
  return { micros, id }
}

async function ofRows(
  runtime: Runtime,
  kind: string,
  row: RowRule,
  { state, limit }: ListQuery,
  place: Place | undefined,
): Promise<OrderList> {
  const { failed, problem } = await keptFailures(runtime, kind)
  await noteHeldTime(row)
  const isHeld = state !== 'pending' && (await row.holds.standing()).length > 0
  if (problem !== undefined && (state === 'dead' || state === 'retrying')) throw new OrderTimersError('REDIS_UNAVAILABLE', problem)
  const bind: unknown[] = [failed?.dead ?? [], failed?.retrying ?? [], limit]
  if (place) bind.push(place.micros)
  if (place?.id !== undefined) bind.push(place.id)
  const after: PageQuery['after'] = place && (place.id === undefined ? 'deadline' : 'order')
  const { found } = await readOnly<{ id: string | null; deadline_ms: number; micros: string | null }>(
    row.guard.table.sequelize,
    LIMITS,
    bind,
    (seesLocks) => pageSql(row, { state, after, within: false, seesLocks, isHeld }),
  )
  const orders = found.filter(({ id }) => id !== null)
  const end = found.find(({ id }) => id === null)
  const last = orders.at(-1)
  const behind = last?.micros == null ? undefined : `${last.micros}.${last.id}`
  return {
    ...{ kind, state, now: new Date(end?.deadline_ms ?? Date.now()) },
    orders: orders.map(({ id, deadline_ms }) => ({
      id: id as string,
      deadline: Number.isFinite(deadline_ms) ? new Date(deadline_ms) : null,
    })),
    next: (orders.length === limit ? behind : end?.micros) ?? null,
  }
}

async function ofRedis(runtime: Runtime, rule: ShopRule, { state, limit }: ListQuery, place: Place | undefined): Promise<OrderList> {
  const { kind } = rule
  if (state !== 'pending' && state !== 'overdue')
    throw invalid(
      `${kind}: its deadlines are only in Redis, where timers are pending or overdue; \`order-timers dead ${kind}\` lists dead letters`,
    )
  const { connection, clock, index } = runtime.requireRedis(kind, 'its deadlines are only in Redis; give "redis" to have them')
  await connection.connected(WAIT_MS)
  const nowMs = await clock.now()
  const fromMs = place && Number(BigInt(place.micros) / 1_000n)
  const from = fromMs === undefined ? (state === 'overdue' ? '-inf' : `(${nowMs}`) : String(fromMs)
  const until = state === 'overdue' ? String(nowMs) : '+inf'
  const found: { id: string; ms: number }[] = []
  for (let offset = 0; found.length <= limit; ) {
    const timers = await index.between(kind, from, until, limit + 1, WAIT_MS, offset)
    for (const { id, deadlineMs: ms } of timers) {
      if (ms !== fromMs || place?.id === undefined || Buffer.compare(Buffer.from(id), Buffer.from(place.id)) > 0) found.push({ id, ms })
    }
    if (timers.length <= limit) break
    offset += limit + 1
  }
  const page = found.slice(0, limit)
  const last = page.at(-1)
  return {
    ...{ kind, state, now: new Date(nowMs) },
    orders: page.map(({ id, ms }) => ({ id, deadline: new Date(ms) })),
    next: last && found.length > limit ? `${Math.floor(last.ms) * 1_000}.${last.id}` : null,
  }
}
