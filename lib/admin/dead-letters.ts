// `order-timers dead` and `order-timers retry`: lists dead letters and puts them back. Both need Redis, which keeps them.

import { OrderTimersError, show } from '../errors.js'
import type { Runtime, RuntimeRedis } from '../timers/runtime.js'
import type { DeadLetter } from '../types.js'
import { boundRule } from './problem.js'

const WAIT_MS = 5_000

/** How many are put back at once. */
const BATCH = 100

export interface Retried {
  kind: string
  /** The ids that were put back, due now. */
  retried: string[]
  /** Ids that were asked for and are no dead letters, each with the reason. */
  notDead: { id: string; why: string }[]
}

/**
 * The dead letters of a rule, or of all rules and their reminders; oldest first.
 * @throws OrderTimersError UNKNOWN_KIND, REDIS_UNAVAILABLE
 */
export async function listDead(runtime: Runtime, kind?: string): Promise<DeadLetter[]> {
  const kinds = kind === undefined ? allKinds(runtime) : [known(runtime, kind)]
  const redis = await connected(runtime)
  const letters: DeadLetter[] = []
  for (const one of kinds)
    for (const [id, { attempts, error, at }] of await redis.failures.dead(one, WAIT_MS))
      letters.push({ kind: one, id, attempts, error, at: new Date(at) })
  return letters.sort((a, b) => a.at.getTime() - b.at.getTime())
}

/**
 * Puts dead letters back; they are due at once, and their attempts are counted from zero.
 * @param ids default: all dead letters of the rule
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_ID, REDIS_UNAVAILABLE
 */
export async function retryDead(runtime: Runtime, kind: string, ids?: readonly string[]): Promise<Retried> {
  known(runtime, kind)
  const wanted = ids?.map((id) => canonical(runtime, kind, id))
  const redis = await connected(runtime)
  const failures = await redis.failures.all(kind, WAIT_MS)
  const dead = [...failures].flatMap(([id, failure]) => (failure.dead ? [id] : []))
  const result: Retried = { kind, retried: [], notDead: [] }
  const given = [...new Set(wanted ?? dead)]
  for (let first = 0; first < given.length; first += BATCH) {
    const batch = given.slice(first, first + BATCH)
    const revived = await redis.failures.revive(kind, batch, WAIT_MS)
    for (const id of batch) {
      if (revived.has(id)) result.retried.push(id)
      else if (wanted) result.notDead.push({ id, why: whyNotDead(failures.get(id)?.attempts) })
    }
  }
  return result
}

function whyNotDead(attempts: number | undefined): string {
  if (attempts === undefined) return 'it is no dead letter; `order-timers dead` lists those that are'
  return `it is no dead letter: it failed ${attempts} ${attempts === 1 ? 'time' : 'times'}, and is tried again by itself`
}

/** The rules, and the reminders of those that can be bound. */
function allKinds(runtime: Runtime): string[] {
  return runtime.kinds.flatMap((kind) => [kind, ...(boundRule(runtime, kind).rule?.reminders ?? []).map((one) => one.kind)])
}

function known(runtime: Runtime, kind: string): string {
  if (!allKinds(runtime).includes(kind)) runtime.rule(kind)
  return kind
}

function canonical(runtime: Runtime, kind: string, id: string): string {
  const rules = runtime.kinds.flatMap((one) => {
    const { rule } = boundRule(runtime, one)
    return rule ? [rule, ...rule.reminders] : []
  })
  const parsed = (rules.find((rule) => rule.kind === kind) ?? runtime.rule(kind)).parseId(id)
  if (parsed !== null) return parsed
  throw new OrderTimersError('INVALID_ID', `orderTimers: ${kind}: ${show(id)} is no id of its orders`)
}

async function connected(runtime: Runtime): Promise<RuntimeRedis> {
  const { redis } = runtime
  if (!redis) {
    const why = runtime.enabled ? '"redis" is false' : 'the timers are switched off (ORDER_TIMERS=off or enabled: false)'
    throw new OrderTimersError('REDIS_UNAVAILABLE', `orderTimers: ${why}, and dead letters are kept in Redis; give "redis" to have them`)
  }
  await redis.connection.connected(WAIT_MS)
  return redis
}
