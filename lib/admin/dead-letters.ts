// Dead letters: lists them, page by page or all at once, and puts them back or drops them. All of it needs Redis.

import { OrderTimersError, show } from '../errors.js'
import { codedErrors } from '../timers/coded-errors.js'
import { deadLetter, NO_LETTERS } from '../timers/dead-letters.js'
import { invalidId } from '../timers/order-id.js'
import type { Runtime, RuntimeRedis } from '../timers/runtime.js'
import type { DeadLetter } from '../types.js'
import { act } from './actions/act.js'
import type { ActedOrder } from './actions/acted.js'
import { endDead } from './actions/redis-act.js'
import { type Actor, MOST_ORDERS, ruleOf } from './actions/request.js'
import { failingKinds } from './problem.js'

const WAIT_MS = 5_000

/** How many dead letters a page may have. */
const MOST = 200

export interface Retried {
  kind: string
  /** The ids that were put back, due now; or dropped. */
  retried: string[]
  /** Requested ids that are not dead letters, or could not be dropped, each with the reason. */
  notDead: { id: string; why: string }[]
}

export interface DeadPage {
  /** Newest first; the stack of its last error while it is among the newest 10,000. */
  letters: (DeadLetter & { stack: string | undefined })[]
  /** How many the rule has. */
  total: number
  /** Where the next page begins; undefined if there is none. */
  next: string | undefined
}

/**
 * One page of the dead letters of a rule, or of a reminder.
 * @param options.after the `next` of the page before
 * @param options.limit from 1 to 200; default 50
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_ACTION, REDIS_UNAVAILABLE
 */
export function deadPage(runtime: Runtime, kind: string, options: { after?: string | undefined; limit?: number } = {}): Promise<DeadPage> {
  return codedErrors(runtime.redis?.source.describe() ?? '', async () => {
    const { after, limit = 50 } = options
    ruleOf(runtime, kind)
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST) throw wrong(`"limit" must be a whole number from 1 to ${MOST}`, limit)
    if (after !== undefined && !/^\d{1,16}$/.test(after)) throw wrong('"after" must be the `next` of a page', after)
    const { failures } = await connected(runtime)
    const { letters, total, next } = await failures.deadPage(kind, after, limit, WAIT_MS)
    return { letters: letters.map(({ id, stack, ...failure }) => ({ ...deadLetter(kind, id, failure), stack })), total, next }
  })
}

/**
 * The dead letters of a rule, or of all rules and their reminders; oldest first.
 * @throws OrderTimersError UNKNOWN_KIND, REDIS_UNAVAILABLE
 */
export async function listDead(runtime: Runtime, kind?: string): Promise<DeadLetter[]> {
  const kinds = kind === undefined ? failingKinds(runtime) : [ruleOf(runtime, kind).kind]
  const redis = await connected(runtime)
  const letters: DeadLetter[] = []
  for (const one of kinds) for (const [id, failure] of await redis.failures.dead(one, WAIT_MS)) letters.push(deadLetter(one, id, failure))
  return letters.sort((a, b) => a.at.getTime() - b.at.getTime())
}

/**
 * Puts dead letters back; they are due at once, and their attempts are counted from zero.
 * @param ids default: all dead letters of the rule
 * @param actor who does it, for the record; without one it is not recorded
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_ID, REDIS_UNAVAILABLE; with an actor also NOT_RECORDED, POSTGRES_UNAVAILABLE
 */
export function retryDead(runtime: Runtime, kind: string, ids?: readonly string[], actor?: Actor): Promise<Retried> {
  return endAll(runtime, 'retry', kind, ids, actor)
}

/** Drops dead letters: their orders are not tried again. Parameters and errors as of `retryDead`. */
export function dropDead(runtime: Runtime, kind: string, ids: readonly string[] | undefined, actor: Actor): Promise<Retried> {
  return endAll(runtime, 'discard', kind, ids, actor)
}

async function endAll(
  runtime: Runtime,
  action: 'retry' | 'discard',
  kind: string,
  ids: readonly string[] | undefined,
  actor: Actor | undefined,
): Promise<Retried> {
  const rule = ruleOf(runtime, kind)
  const wanted = ids?.map((id) => rule.parseId(id) ?? refuseId(rule.kind, id))
  const redis = await connected(runtime)
  const given = [...new Set(wanted ?? (await redis.failures.dead(kind, WAIT_MS)).keys())]
  const result: Retried = { kind, retried: [], notDead: [] }
  for (let first = 0; first < given.length; first += MOST_ORDERS) {
    const portion = given.slice(first, first + MOST_ORDERS)
    for (const { id, outcome, why = '' } of await endPortion(runtime, redis, action, kind, portion, actor)) {
      if (outcome === 'done') result.retried.push(id)
      else if (wanted || action === 'discard' || outcome === 'failed')
        result.notDead.push({ id, why: why.replace(/^orderTimers: .* is no dead letter/, 'it is no dead letter') })
    }
  }
  return result
}

async function endPortion(
  runtime: Runtime,
  redis: RuntimeRedis,
  action: 'retry' | 'discard',
  kind: string,
  ids: readonly string[],
  actor: Actor | undefined,
): Promise<ActedOrder[]> {
  if (!actor) return [...(await endDead(redis, kind, action, ids)).values()]
  return (await act(runtime, { action, kind, orders: ids.map((id) => ({ id })) }, actor)).orders
}

function refuseId(kind: string, id: string): never {
  throw invalidId(kind, id)
}

async function connected(runtime: Runtime): Promise<RuntimeRedis> {
  const { redis } = runtime
  if (!redis) {
    const why = runtime.enabled ? '"redis" is false' : 'the timers are switched off (ORDER_TIMERS=off or enabled: false)'
    throw new OrderTimersError('REDIS_UNAVAILABLE', `orderTimers: ${why}, and ${NO_LETTERS}`)
  }
  await redis.connection.connected(WAIT_MS)
  return redis
}

function wrong(what: string, given: unknown): OrderTimersError {
  return new OrderTimersError('INVALID_ACTION', `orderTimers: ${what}, got ${show(given)}`)
}
