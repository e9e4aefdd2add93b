// Assertions about an order's timers. They throw the AssertionError of `node:assert`, which every test runner shows as a failure.

import { AssertionError } from 'node:assert'
import { type Duration, parseDuration } from '../duration.js'
import { OrderTimersError, refuseUnknownOptions } from '../errors.js'
import type { ShopRule } from '../rules/rule.js'
import { idOf } from '../timers/order-id.js'
import { pendingTimer } from '../timers/pending.js'
import { RUNTIME, type Runtime } from '../timers/runtime.js'
import type { Kind, ListedTimer, OrderOrId, OrderTimers, Rules, WriteOptions } from '../types.js'
import { named, whyNoTimer } from './diagnosis.js'

export interface ScheduledOptions extends WriteOptions {
  /** The minimum remaining time. */
  after?: Duration
  /** The maximum remaining time. */
  within?: Duration
}

/**
 * Fails unless the order has a timer under the rule, with the given remaining time, by Postgres's clock. For a rule with a deadline on the row
 * this is the row's deadline.
 * @returns the timer
 * @throws AssertionError; OrderTimersError UNKNOWN_KIND, INVALID_ID, INVALID_DURATION, INVALID_OPTION
 */
export async function assertScheduled<R extends Rules>(
  timers: OrderTimers<R>,
  kind: Kind<R>,
  order: OrderOrId,
  options: ScheduledOptions = {},
): Promise<ListedTimer> {
  refuseUnknownOptions('assertScheduled', options, ['after', 'within', 'transaction'])
  const { after, within, ...more } = options
  const { timer, rule, id, runtime } = await look('assertScheduled', timers, kind, order, more)
  const leastMs = after === undefined ? 0 : parseDuration('assertScheduled: "after"', after)
  const mostMs = within === undefined ? Number.POSITIVE_INFINITY : parseDuration('assertScheduled: "within"', within)
  if (!timer) {
    const { message } = await whyNoTimer('assertScheduled', runtime, rule, id)
    throw failure(message, undefined, 'a timer', assertScheduled)
  }
  if (timer.remaining >= leastMs && timer.remaining <= mostMs) return timer
  const [expected, than] = timer.remaining < leastMs ? [after, 'no sooner than'] : [within, 'no later than']
  const message = `${named(rule, id)} is due in ${timer.remaining} ms (${timer.deadline.toISOString()}), expected ${than} in ${expected}`
  throw failure(message, timer.remaining, expected, assertScheduled)
}

/**
 * Fails if the order has a timer under the rule.
 * @throws AssertionError; OrderTimersError UNKNOWN_KIND, INVALID_ID, INVALID_OPTION
 */
export async function assertNotScheduled<R extends Rules>(
  timers: OrderTimers<R>,
  kind: Kind<R>,
  order: OrderOrId,
  options: WriteOptions = {},
): Promise<void> {
  const { timer, rule, id } = await look('assertNotScheduled', timers, kind, order, options)
  if (!timer) return
  const message = `${named(rule, id)} has a timer, due in ${timer.remaining} ms (${timer.deadline.toISOString()}), expected none`
  throw failure(message, timer.deadline, null, assertNotScheduled)
}

interface Look {
  runtime: Runtime
  rule: ShopRule
  id: string
  timer: ListedTimer | undefined
}

async function look(caller: string, timers: unknown, kind: string, order: OrderOrId, options: WriteOptions): Promise<Look> {
  refuseUnknownOptions(caller, options, ['transaction'])
  const runtime = (timers as { [RUNTIME]?: Runtime } | undefined)?.[RUNTIME]
  if (!runtime) throw new OrderTimersError('INVALID_OPTION', `${caller}: the first argument must be timers, made by orderTimers(…)`)
  const rule = runtime.rule(kind)
  const id = idOf(rule, order)
  return { runtime, rule, id, timer: await pendingTimer(runtime, rule, id, options) }
}

function failure(message: string, actual: unknown, expected: unknown, stackStartFn: (...args: never[]) => unknown): AssertionError {
  return new AssertionError({ message, actual, expected, stackStartFn })
}
