// Releases a rule that its brake has stopped, and asks the running workers to sweep at once.

import type { Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'
import type { ReleaseOptions } from '../hold.js'
import type { Hold } from '../rows/holds.js'
import { REDIS_SHARE_MS, withinCall } from '../sequelize/call-connection.js'
import { releaseHold } from './hold.js'
import type { Runtime } from './runtime.js'

/** How long a request waits for Redis to publish. */
const PUBLISH_MS = 200

export interface Released {
  /** Whether the rule was stopped. */
  wasStopped: boolean
  /** How many workers were asked to sweep at once; 0 where Redis did not publish the request. */
  workersAsked: number
  /** Which process settles the orders that were held, as text. */
  next: string
}

/**
 * A rule without a brake was not stopped.
 * @param timeoutMs how long to wait for Redis
 * @throws OrderTimersError UNKNOWN_KIND; what Postgres throws
 */
export async function releaseRule(runtime: Runtime, kind: string, timeoutMs = PUBLISH_MS): Promise<Released> {
  const wasStopped = (await runtime.rule(kind).row?.brake?.release()) ?? false
  return askForSweep(runtime, wasStopped, timeoutMs)
}

/**
 * What `release` is about: a hold where one stands or its options are given, else the brake.
 * @throws OrderTimersError UNKNOWN_KIND; HELD_AND_BRAKED where both stand and nothing says which; RUN_UNFINISHED where a run alone holds it; INVALID_OPTION
 */
export async function whatToRelease(
  runtime: Runtime,
  kind: string,
  options: ReleaseOptions = {},
  within?: Transaction,
): Promise<'hold' | 'brake'> {
  const { row } = runtime.rule(kind)
  refuseUnknownOptions(`orderTimers: ${kind}`, options, ['shift', 'grace', 'expect', 'what'])
  const { what, ...ofHold } = options
  const isOfHold = Object.values(ofHold).some((value) => value !== undefined)
  if (what !== undefined && what !== 'hold' && what !== 'brake')
    throw new OrderTimersError('INVALID_OPTION', `orderTimers: ${kind}: "what" must be 'hold' or 'brake', got ${show(what)}`)
  if (what === 'brake' && isOfHold)
    throw new OrderTimersError(
      'INVALID_OPTION',
      `orderTimers: ${kind}: ${Object.keys(ofHold).join(', ')} are for a hold, and what is 'brake'`,
    )
  if (what !== undefined) return what
  if (isOfHold) return 'hold'
  const [hold] = (await row?.holds.standing(within)) ?? [] // a person's first
  if (!hold) return 'brake'
  const isBraked = Boolean(await row?.brake?.brakedAt(within))
  if (hold.owner !== '' && !isBraked) throw heldByRun(kind, hold)
  if (hold.owner !== '') return 'brake'
  if (!isBraked) return 'hold'
  const both = `is held since ${new Date(hold.since).toISOString()} (${hold.reason}), and its brake has stopped it too`
  const remedy = `say which is to be released: { what: 'hold' } or { what: 'brake' } (--what hold, --what brake)`
  throw new OrderTimersError('HELD_AND_BRAKED', `orderTimers: ${kind}: ${both}; ${remedy}`)
}

function heldByRun(kind: string, { since, reason, by }: Hold): OrderTimersError {
  const what = `is held by a run over its orders since ${new Date(since).toISOString()} (${reason}, by ${by}), and nothing was released`
  const remedy = `it is released when the run ends; order-timers runs ${kind} shows it, and --resume or --abandon ends one that was left`
  return new OrderTimersError('RUN_UNFINISHED', `orderTimers: ${kind}: ${what}; ${remedy}`)
}

/** Once a rule is released. Trouble of Redis does not make it reject. @param timeoutMs how long to wait for Redis */
export async function askForSweep({ redis }: Runtime, wasStopped: boolean, timeoutMs = PUBLISH_MS): Promise<Released> {
  if (!wasStopped) return { wasStopped, workersAsked: 0, next: 'nothing was held' }
  if (!redis) return { wasStopped, workersAsked: 0, next: 'the next sweep of a worker settles what was held, since Redis is not used' }
  try {
    const workersAsked = await redis.index.requestSweep(timeoutMs)
    const none = 'no worker received it; the next sweep of a worker settles what was held'
    return { wasStopped, workersAsked, next: workersAsked > 0 ? 'the workers settle now what was held' : none }
  } catch (error) {
    const why = `Redis did not pass it on to the workers (${errorText(error)})`
    return { wasStopped, workersAsked: 0, next: `${why}; their next sweep settles what was held` }
  }
}

/**
 * The same for `timers.release`: it logs which process settles the orders that were held. The line has a code, and so is shown without a logger, if no
 * worker could be asked.
 * @returns whether the rule was stopped
 */
export async function release(runtime: Runtime, kind: string, options?: ReleaseOptions): Promise<boolean> {
  const { isHold, wasBraked } = await releaseBrakeUnlessHold(runtime, kind, options)
  if (isHold) await releaseHold(runtime, kind, options)
  const { wasStopped, workersAsked, next } = await askForSweep(runtime, isHold || wasBraked)
  if (!wasStopped) return false
  runtime.log('info', `${kind}: released; ${next}`, { kind, ...(workersAsked === 0 && { code: 'RELEASED' }) })
  return true
}

/** On one connection, within the time of one call. */
async function releaseBrakeUnlessHold(
  runtime: Runtime,
  kind: string,
  options?: ReleaseOptions,
): Promise<{ isHold: boolean; wasBraked: boolean }> {
  const work = async (within?: Transaction) => {
    const isHold = (await whatToRelease(runtime, kind, options, within)) === 'hold'
    return { isHold, wasBraked: !isHold && ((await row?.brake?.release(within)) ?? false) }
  }
  const { row } = runtime.rule(kind)
  return row ? withinCall(row.guard.table.sequelize, undefined, performance.now() - REDIS_SHARE_MS, work) : work()
}
