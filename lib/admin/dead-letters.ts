// Dead letters by hand: which there are, and putting them back. They are kept in Redis, so both need it.

import { OrderTimersError, show } from '../errors.js'
import type { Runtime, RuntimeRedis } from '../timers/runtime.js'
import type { DeadLetter } from '../types.js'
import { boundRule } from './problem.js'

const PATIENCE_MS = 5_000

/** How many are put back at once. */
const PORTION = 100

export interface Retried {
  kind: string
  /** The ids that were put back, due now. */
  retried: string[]
  /** The ids that are no dead letters, with what they are. */
  notDead: { id: string; why: string }[]
}

/**
 * Those of a rule, or of all rules and their reminders; oldest first.
 * @throws OrderTimersError UNKNOWN_KIND, REDIS_UNAVAILABLE
 */
export async function listDead(runtime: Runtime, kind?: string): Promise<DeadLetter[]> {
  const kinds = kind === undefined ? allKinds(runtime) : [known(runtime, kind)]
  const redis = await connected(runtime)
  const letters: DeadLetter[] = []
  for (const one of kinds)
    for (const [id, { attempts, error, at }] of await redis.failures.dead(one, PATIENCE_MS))
      letters.push({ kind: one, id, attempts, error, at: new Date(at) })
  return letters.sort((a, b) => a.at.getTime() - b.at.getTime())
}

/**
 * @param ids all dead letters of the rule where none are given
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_ID, REDIS_UNAVAILABLE
 */
export async function retryDead(runtime: Runtime, kind: string, ids?: readonly string[]): Promise<Retried> {
  known(runtime, kind)
  const wanted = ids?.map((id) => canonical(runtime, kind, id))
  const redis = await connected(runtime)
  const failures = await redis.failures.all(kind, PATIENCE_MS)
  const dead = [...failures].flatMap(([id, failure]) => (failure.dead ? [id] : []))
  const result: Retried = { kind, retried: [], notDead: [] }
  const given = [...new Set(wanted ?? dead)]
  for (let first = 0; first < given.length; first += PORTION) {
    const portion = given.slice(first, first + PORTION)
    const revived = await Promise.all(portion.map((id) => redis.failures.revive(kind, id, PATIENCE_MS)))
    for (const [i, id] of portion.entries()) {
      if (revived[i]) result.retried.push(id)
      else if (wanted) result.notDead.push({ id, why: whatItIs(failures.get(id)?.attempts) })
    }
  }
  return result
}

function whatItIs(attempts: number | undefined): string {
  if (attempts === undefined) return 'it is no dead letter; `order-timers dead` lists those that are'
  return `it is no dead letter: it failed ${attempts} ${attempts === 1 ? 'time' : 'times'}, and is tried again by itself`
}

/** Rules, and the reminders of those that can be bound. */
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
  await redis.connection.connected(PATIENCE_MS)
  return redis
}
