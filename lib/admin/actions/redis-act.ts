// An action on what only Redis has: dead letters, and the timers of rules without a deadline on the row. It is recorded as asked before anything is
// done, and as done or failed after.

import { errorText } from '../../error-text.js'
import { type ErrorCode, OrderTimersError, show } from '../../errors.js'
import { isReply } from '../../redis/replies.js'
import type { BoundRule } from '../../rules/rule.js'
import { withinCall } from '../../sequelize/call-connection.js'
import { noTimer } from '../../timers/allowed-calls.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import { type Acted, type ActedOrder, isAsShown, refusedOrder, skippedOrder } from './acted.js'
import { asActed, endedOn, recorded, tableFor } from './record.js'
import type { Actor, ParsedAct } from './request.js'

/** How long to wait for Redis, for the connection and for each command. */
export const REDIS_WAIT_MS = 2_000

/** The outcome of an order for which Redis did not do it, and of one for which this is unknown. */
export const NOT_TAKEN: ErrorCode = 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE'
const UNKNOWN: ErrorCode = 'ERR_ORDER_TIMERS_OUTCOME_UNKNOWN'

/** The deadline of another program's key comes from its TTL, read a moment ago. */
const TOLERANCE_MS = 5

/** @throws OrderTimersError NOT_RECORDED, REDIS_UNAVAILABLE, and then nothing was done; what Redis or Postgres throws, once it is recorded as failed */
export async function actInRedis(runtime: Runtime, { action, rule, shown, byMs }: ParsedAct, actor: Actor): Promise<Acted> {
  const { kind } = rule
  const redis = await connectedRedis(runtime, kind)
  const ids = [...shown.keys()]
  const asked = { action, kind, actor, ids }
  const ended = await recorded(tableFor(runtime, rule), asked, async () => {
    const before = await deadlinesOf(redis, rule, shown)
    const asShown = ids.filter((id) => isAsShown(shown.get(id), before.get(id) ?? null, TOLERANCE_MS))
    const done = await carryOut(redis, kind, action, asShown, { shown, before, byMs })
    const result = (id: string) => done.get(id) ?? skippedOrder(kind, id, shown.get(id) ?? null, before.get(id) ?? null)
    return endedOn(ids.map(result))
  })
  return asActed(asked, ended)
}

/** @throws OrderTimersError REDIS_UNAVAILABLE */
export async function connectedRedis(runtime: Runtime, kind: string, waitMs = REDIS_WAIT_MS): Promise<RuntimeRedis> {
  const redis = runtime.requireRedis(kind, 'what this action changes is kept in Redis; give "redis" to have it')
  await redis.connection.connected(waitMs)
  return redis
}

/** The known deadlines. For rules with a deadline on the row they are read only if an order was given with one. */
async function deadlinesOf(redis: RuntimeRedis, rule: BoundRule, shown: ParsedAct['shown']): Promise<Map<string, number>> {
  const { kind, row } = rule
  if (row === undefined || row.deadline.in === 'redis') return redis.index.deadlines(kind, [...shown.keys()], REDIS_WAIT_MS)
  const given = [...shown].filter(([, deadline]) => deadline !== undefined).map(([id]) => id)
  const { states } = row
  if (given.length === 0 || !states) return new Map()
  const found = await withinCall(row.guard.table.sequelize, undefined, performance.now(), (within) => states.findAll(given, within))
  return new Map([...found].flatMap(([id, { deadline }]) => (deadline === null ? [] : [[id, deadline]])))
}

interface Known {
  shown: ParsedAct['shown']
  before: ReadonlyMap<string, number>
  byMs: number
}

async function carryOut(
  redis: RuntimeRedis,
  kind: string,
  action: ParsedAct['action'],
  ids: readonly string[],
  known: Known,
): Promise<Map<string, ActedOrder>> {
  if (ids.length === 0) return new Map()
  if (action === 'retry' || action === 'discard')
    return endDead(redis, kind, action, ids).catch((error) => new Map(ids.map((id) => [id, failedOrder(id, error)])))
  const each = ids.map((id) => moveOne(redis, kind, action, id, known).catch((error) => failedOrder(id, error)))
  return new Map((await Promise.all(each)).map((order) => [order.id, order]))
}

/** Puts dead letters back, due now, or drops them. */
export async function endDead(
  { failures }: RuntimeRedis,
  kind: string,
  action: 'retry' | 'discard',
  ids: readonly string[],
): Promise<Map<string, ActedOrder>> {
  const ended = await (action === 'retry' ? failures.revive(kind, ids, REDIS_WAIT_MS) : failures.discard(kind, ids, REDIS_WAIT_MS))
  const others = ids.filter((id) => !ended.has(id))
  const failing = others.length === 0 ? new Map() : await failures.of(kind, others)
  return new Map(
    ids.map((id) => [
      id,
      ended.has(id) ? { id, outcome: 'done' as const } : refusedOrder(id, notDead(kind, id, failing.get(id)?.attempts)),
    ]),
  )
}

export function notDead(kind: string, id: string, attempts: number | undefined): OrderTimersError {
  const times = `${attempts} ${attempts === 1 ? 'time' : 'times'}`
  const why =
    attempts === undefined ? '; `order-timers dead` lists those that are' : `: it failed ${times}, and is tried again automatically`
  return new OrderTimersError('NO_TIMER', `orderTimers: ${kind}: ${show(id)} is no dead letter${why}`)
}

/**
 * Extends, cancels, or makes due now. The script that moves the deadline checks again that it is the one that was shown, so nothing
 * can happen in between.
 */
async function moveOne(
  redis: RuntimeRedis,
  kind: string,
  action: ParsedAct['action'],
  id: string,
  { shown, before: deadlines, byMs }: Known,
): Promise<ActedOrder> {
  const { arming, index } = redis
  const expected = shown.get(id)
  if (expected === null) return refusedOrder(id, noTimer(kind, id, action), null) // as shown: there is none
  if (action === 'cancel') return cancelOne(redis, kind, id, expected, deadlines.get(id))
  const postpone = () => index.postponeFrom(expected, kind, id, action === 'extend' ? byMs : 'now', REDIS_WAIT_MS, TOLERANCE_MS)
  const [moved] = await arming.change(kind, id, postpone, (moved) => moved?.after !== undefined)
  if (moved === undefined) return refusedOrder(id, noTimer(kind, id, action), null)
  const { before, after } = moved
  return after === undefined ? skippedOrder(kind, id, expected ?? null, before) : { id, outcome: 'done', before, after }
}

async function cancelOne(
  { arming, index }: RuntimeRedis,
  kind: string,
  id: string,
  expected: number | undefined,
  before: number | undefined,
): Promise<ActedOrder> {
  const disarm = () => index.disarm(kind, id, expected, REDIS_WAIT_MS, expected === undefined ? '' : TOLERANCE_MS)
  const [isRemoved] = await arming.change(kind, id, disarm, Boolean)
  if (isRemoved) return { id, outcome: 'done', ...(before !== undefined && { before }), after: null }
  const now = expected === undefined ? undefined : await index.deadline(kind, id, REDIS_WAIT_MS)
  return now === undefined ? refusedOrder(id, noTimer(kind, id, 'cancel'), null) : skippedOrder(kind, id, expected ?? null, now)
}

/** A command that Redis did not answer may have been carried out all the same. */
function failedOrder(id: string, error: unknown): ActedOrder {
  if (isReply(error)) return { id, outcome: 'failed', code: NOT_TAKEN, why: errorText(error) }
  const why = `${errorText(error)}; whether it was carried out is not known: look at the order again`
  return { id, outcome: 'failed', code: UNKNOWN, why }
}
