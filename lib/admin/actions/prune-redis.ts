// `order-timers prune --redis` as a recorded action: it removes what rules that no process has any more have left in Redis.

import { OrderTimersError } from '../../errors.js'
import { LeftSets } from '../../redis/left-sets.js'
import { probeWrites } from '../../redis/script-calls.js'
import { assertUsable } from '../../redis/server.js'
import { codedErrors } from '../../timers/coded-errors.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import { declaredBy, type LeftKind, leftKinds, livingKinds, mayBeLost } from '../left-kinds.js'
import { requireEnabled } from './act.js'
import { recorded, tableFor } from './record.js'
import { connectedRedis } from './redis-act.js'
import { type Actor, invalid, requireActor } from './request.js'

/** During a long removal, how often the processes are looked at again. */
const LOOK_EVERY_MS = 2_000

/** How long the look at all names may take. */
const LOOK_MOST_MS = 600_000

export interface PruneRedisOptions {
  /** Default: all that are left. */
  kinds: readonly string[]
  /** Timers that no row may have are removed too. */
  dropTimers: boolean
}

/**
 * What would be removed.
 * @throws OrderTimersError INVALID_ACTION if a process has a rule of that kind; INVALID_MODEL, INVALID_OPTION; REDIS_UNAVAILABLE, REDIS_REFUSES and
 * POSTGRES_UNAVAILABLE if it is not known which processes are alive
 */
export function leftInRedis(runtime: Runtime, kinds: readonly string[]): Promise<LeftKind[]> {
  return codedErrors(runtime.redis?.source.describe() ?? '', async () => (await look(runtime, kinds)).left)
}

/**
 * @returns what was removed
 * @throws OrderTimersError as `leftInRedis`, INVALID_ACTION without `dropTimers` if timers would be lost, and NOT_RECORDED: then nothing was removed;
 * what Redis throws later, once it is recorded as failed
 */
export function pruneRedisAct(runtime: Runtime, { kinds, dropTimers }: PruneRedisOptions, actor: Actor): Promise<LeftKind[]> {
  return codedErrors(runtime.redis?.source.describe() ?? '', async () => {
    requireActor(actor)
    const { redis, sets, left } = await look(runtime, kinds)
    const lost = left.find(mayBeLost)
    if (lost && !dropTimers) throw wouldBeLost(lost)
    for (const one of left) {
      const { kind, armed, claimed, dead } = one
      let lookedAt = Number.NEGATIVE_INFINITY
      const lookAgain = async () => {
        if (performance.now() - lookedAt < LOOK_EVERY_MS) return
        await requireLeft(runtime, redis, [kind])
        lookedAt = performance.now()
      }
      await recorded(tableFor(runtime, undefined), { action: 'prune --redis', kind, actor, ids: [] }, async () => {
        await sets.remove(kind, one.names, lookAgain)
        return { count: armed + claimed + dead, orders: [] }
      })
    }
    return left
  })
}

async function look(runtime: Runtime, kinds: readonly string[]): Promise<{ redis: RuntimeRedis; sets: LeftSets; left: LeftKind[] }> {
  requireEnabled(runtime)
  const redis = await connectedRedis(runtime, kinds[0] ?? 'prune --redis')
  await assertUsable(redis.connection) // a primary that is away would hide what it has
  await probeWrites(redis.connection, runtime.keys) // if Redis refuses writes, living processes have no heartbeat there
  const declared = await requireLeft(runtime, redis, kinds)
  const sets = new LeftSets(redis.connection, runtime.keys)
  const found = await sets.byKind(LOOK_MOST_MS)
  if (!found) throw tooLong()
  const wanted = kinds.length === 0 ? found : new Map([...found].filter(([kind]) => kinds.includes(kind)))
  return { redis, sets, left: await leftKinds(sets, wanted, declared) }
}

/** @returns whether a process has a rule of a kind @throws OrderTimersError INVALID_ACTION if one has a rule of these kinds */
async function requireLeft(runtime: Runtime, redis: RuntimeRedis, kinds: readonly string[]): Promise<(kind: string) => boolean> {
  for (const kind of runtime.kinds) runtime.rule(kind) // what cannot be bound throws: its reminders are not known
  const living = await livingKinds(runtime, redis)
  for (const kind of kinds) {
    if (declaredBy(runtime, [])(kind))
      throw invalid(`${kind}: it is a rule of the module that this command has loaded; nothing was removed`)
    const owner = living.find((one) => declaredBy(runtime, one.kinds)(kind))
    if (owner)
      throw invalid(`${kind}: the living process ${owner.name} has this rule; end it, or deploy it without the rule, and ask again`)
  }
  return declaredBy(
    runtime,
    living.flatMap((one) => one.kinds),
  )
}

function tooLong(): Error {
  const what = `a look at all names in Redis takes longer than ${LOOK_MOST_MS / 60_000} minutes`
  return new OrderTimersError('REDIS_UNAVAILABLE', `orderTimers: ${what}; nothing was removed; try again when Redis is less busy`)
}

function wouldBeLost({ kind, armed, claimed, dead }: LeftKind): Error {
  const what = `timers: ${armed + claimed}, dead letters: ${dead}; perhaps they are only in Redis, and then nothing is done for their orders any more`
  const remedy = 'let a worker with this rule run until nothing is left, or add --drop-timers to lose them'
  return invalid(`${kind}: ${what}; ${remedy}; nothing was removed`)
}
