// What will happen next to an order under a rule, and when; and the command that helps. Asks no server.

import { ageText } from './age-text.js'
import type { OrderState, OrderUnderRule } from './order-under-rule.js'

/** A timer that has been due for longer in Redis is late, although a worker may just be settling it. */
const LATE_MS = 5_000

export interface Outlook {
  /** What will happen next, and when. */
  next: string
  /** The command that helps; undefined if none is needed. */
  command: string | undefined
}

interface Context {
  id: string
  workerAlive: boolean | undefined
  usesRedis: boolean
}

export function outlookOf(found: OrderUnderRule, context: Context): Outlook {
  const outlook = expected(found, context)
  const { state } = found
  const waitsForWorker =
    ['pending', 'overdue', 'retrying', 'locked', 'unverified'].includes(state) || (state === 'redis' && found.redis?.armed !== undefined)
  if (context.workerAlive !== false || !waitsForWorker) return outlook
  return { next: `${outlook.next}; but no worker is alive`, command: 'order-timers status' }
}

function expected(found: OrderUnderRule, { id, usesRedis }: Context): Outlook {
  const { kind, state, row, redis, lock, unverified, appliesTo, attempts, problem } = found
  const nothing = (why: string, command?: string): Outlook => ({ next: `nothing: ${why}`, command })
  if (problem !== undefined && !row) return { next: 'not known, since its row could not be read', command: 'order-timers doctor' }
  const dueMs = row?.deadline ?? redis?.armed?.getTime()
  const stop = dueMs === undefined ? undefined : stopOf(found, dueMs)
  if (stop && dueMs !== undefined) {
    const command = found.hold || found.brakedSince ? `order-timers release ${kind}` : undefined
    return dueMs <= Date.now() ? nothing(stop, command) : { next: `due ${whenText(new Date(dueMs))}; ${stop}`, command }
  }
  if (unverified && (state === 'unverified' || state === 'overdue')) {
    const { next, times, answer, error } = unverified
    const last = error ? `the last question failed: ${error}` : `the last answer was ${answer}`
    const asked = `"verify" has asked about it ${timesText(times)}, and ${last}`
    return {
      next: `asked about again ${whenText(next)}; ${asked}`,
      command: `order-timers settle ${kind} ${id} --unverified --reason "…"`,
    }
  }
  switch (state) {
    case 'gone':
      return nothing('there is no such order')
    case 'none':
      return nothing(row?.inFrom ? 'it has no deadline, and "where" does not hold' : `the rule applies to ${appliesTo}`)
    case 'undated':
      return nothing('it has no deadline; schedule() or "backfill" gives it one')
    case 'paused':
      return nothing('it is paused, until resume()')
    case 'unverified':
      return { next: 'asked about again by itself', command: undefined } // its answer was read a moment before its state
    case 'held':
      return nothing('"where" or a pause holds it back; settled by the first sweep after that has ended')
    case 'stale':
      return nothing('it is overdue by more than "staleAfter"', `order-timers sweep --stale --kind ${kind}`)
    case 'dead':
      return nothing(
        `it is a dead letter: the rule failed on it ${timesText(redis?.failure?.attempts)}`,
        `order-timers retry ${kind} ${id}`,
      )
    case 'retrying':
      return { next: `attempt ${(redis?.failure?.attempts ?? 0) + 1} of ${attempts} ${whenText(redis?.armed)}`, command: undefined }
    case 'locked':
      return {
        next: `settled once the transaction that has its row locked has ended${lock?.pid ? ` (pid ${lock.pid})` : ''}`,
        command: lock?.pid ? `SELECT pg_terminate_backend(${lock.pid})` : undefined,
      }
    case 'overdue':
      if (redis?.claimedBy !== undefined) return { next: `a worker is settling it (${redis.claimedBy})`, command: undefined }
      return {
        next: `settled by the next sweep at the latest${failureText(found, usesRedis)}`,
        command: `order-timers sweep --kind ${kind}`,
      }
    case 'pending': {
      const when = whenText(row?.deadline == null ? undefined : new Date(row.deadline))
      return { next: `settled ${when}${usesRedis ? armedText(redis) : ', by the sweep after that'}`, command: undefined }
    }
    case 'redis':
      if (redis?.failure?.dead) return nothing('it is a dead letter', `order-timers retry ${kind} ${id}`)
      if (redis?.claimedBy !== undefined) return { next: `a worker is carrying it out (${redis.claimedBy})`, command: undefined }
      if (redis?.armed === undefined)
        return redis
          ? nothing('it has no timer in Redis')
          : { next: 'not known: Redis, which alone has its deadline, does not answer', command: 'order-timers status' }
      if (Date.now() - redis.armed.getTime() > LATE_MS)
        return nothing(`it was due at ${redis.armed.toISOString()}, and no worker has taken it`, 'order-timers status')
      return { next: `carried out ${whenText(redis.armed)}`, command: undefined }
  }
}

/** States that end by a settlement. `held` does so if the hold of the rule is the reason, and not `where`. */
const ENDING: readonly OrderState[] = ['pending', 'overdue', 'retrying', 'locked', 'unverified', 'redis']

/** Why the rule as a whole will not settle an order that is due then; undefined if it will. */
function stopOf({ state, hold, brakedSince, dryRun, redis }: OrderUnderRule, dueMs: number): string | undefined {
  if (redis?.failure?.dead || !(ENDING.includes(state) || (state === 'held' && dueMs <= Date.now()))) return undefined
  if (hold && (hold.opensAt === null || hold.opensAt.getTime() > Math.max(dueMs, Date.now()))) {
    const until = hold.opensAt ? `until ${hold.opensAt.toISOString()}` : 'until it is released'
    return `the rule is held since ${hold.since.toISOString()} (${hold.reason}), ${until}`
  }
  if (state === 'held') return undefined
  if (brakedSince) return `the rule is stopped by its brake since ${brakedSince.toISOString()}`
  return dryRun ? 'the rule has "dryRun", and settles nothing' : undefined
}

function armedText(redis: OrderUnderRule['redis']): string {
  if (!redis) return '; whether it is armed is not known, since Redis did not answer'
  return redis.armed ? '' : '; it is not armed, and the sweep arms it before that if it comes due soon'
}

/** An order on which the rule failed may be a dead letter, which no sweep settles. */
function failureText({ redis }: OrderUnderRule, usesRedis: boolean): string {
  if (redis) return ''
  const where = usesRedis ? 'not known, since Redis did not answer' : 'only in the logs of the workers'
  return `; whether the rule failed on it is ${where}`
}

function whenText(at: Date | undefined): string {
  if (at === undefined) return 'by the next sweep'
  const inMs = at.getTime() - Date.now()
  return inMs > 0 ? `in ${ageText(inMs)}, at ${at.toISOString()}` : `now (it was due at ${at.toISOString()})`
}

function timesText(count = 0): string {
  return count === 1 ? 'once' : `${count} times`
}
