// Makes a timer due now and waits for the worker to settle the order, by the same path as in production: due index, alarm, guard. Writes only
// the attribute that the deadline is read from, and only while the rule applies to the order.

import { setTimeout as delay } from 'node:timers/promises'
import { type Duration, parseDuration, WAITING_BOUNDS } from '../duration.js'
import { OrderTimersError, refuseUnknownOptions } from '../errors.js'
import { bringForward } from '../rows/bring-forward.js'
import type { ColumnDeadline, RowRule, SinceDeadline } from '../rows/row-rule.js'
import type { SettledOrder } from '../rows/settlement.js'
import type { ReminderRule, ShopRule } from '../rules/rule.js'
import { inTransaction } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { LOCK_WAIT_ENDED } from '../sequelize/sqlstates.js'
import { idOf } from '../timers/order-id.js'
import { RUNTIME, type Runtime } from '../timers/runtime.js'
import type { OrderOrId, RegisteredKind } from '../types.js'
import { within } from '../wait.js'
import type { ExpiryWorker } from '../worker/worker.js'
import { named, whyNoTimer, whyNotSettled } from './diagnosis.js'
import { Watch } from './watch.js'

export interface ExpireOptions {
  /** Which reminder to bring forward instead of the deadline itself: its `before`, as declared, such as `'2h'`. */
  reminder?: Duration
  /** How long to wait for the settlement. Default: 5 s. */
  within?: Duration
}

const SETTLE_MS = 5_000
const REDIS_WAIT_MS = 2_000
const LIMITS = { lockMs: 2_000, statementMs: 2_000, idleMs: 5_000 }

/**
 * Makes an order's timer due now, and waits until the worker has settled it, `run`, `afterCommit` and the commit included. A rule with
 * `since`: that attribute of the order is moved back.
 * @param worker the worker of this process, started on the timers
 * @param order an instance or an id; an instance is not refreshed: `reload()` it
 * @returns the order as in the worker's event `settled` (for a reminder, `reminded`)
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_ID, INVALID_DURATION (400), ORDER_NOT_FOUND (404), ORDER_NOT_IN_FROM,
 * NO_TIMER (409), ROW_LOCKED, REDIS_UNAVAILABLE (503), INVALID_OPTION (500); NOT_SETTLED (500) where the rule fails (`cause` is its error) or the time is up
 */
export async function expire(
  worker: ExpiryWorker,
  kind: RegisteredKind,
  order: OrderOrId,
  options: ExpireOptions = {},
): Promise<SettledOrder> {
  refuseUnknownOptions('expire', options, ['reminder', 'within'])
  const limitMs = parseDuration('expire: "within"', options.within === undefined ? SETTLE_MS : options.within, WAITING_BOUNDS)
  const runtime = runtimeOf(worker)
  const rule = runtime.rule(kind)
  const id = idOf(rule, order)
  const reminder = options.reminder === undefined ? undefined : reminderOf(rule, options.reminder)
  const endsAt = performance.now() + limitMs
  const watch = new Watch(worker, rule, reminder, id)
  try {
    const armed =
      !rule.row || rule.row.deadline.in === 'redis'
        ? await bringRedisForward(runtime, rule, id)
        : await bringRowForward(runtime, rule, rule.row, rule.row.deadline, id, reminder?.beforeMs ?? 0)
    if (!armed) void worker.sweepNow()
    await within(limitMs, watch.ended)
    // `afterCommit` still runs after the event `settled`.
    while (watch.settled && !watch.failure && worker.health().busy > 0 && performance.now() < endsAt) await delay(1)
    if (watch.failure) throw notSettled(rule, id, watch.failure.why, watch.failure.error)
    if (watch.settled) return watch.settled
    throw notSettled(rule, id, `waited ${limitMs} ms, but ${await whyNotSettled(worker, rule, id)}`)
  } finally {
    watch.end()
  }
}

async function bringRowForward(
  runtime: Runtime,
  rule: ShopRule,
  row: RowRule,
  at: ColumnDeadline | SinceDeadline,
  id: string,
  beforeMs: number,
): Promise<boolean> {
  const { table } = row.guard
  const braked = await row.brake?.brakedAt().catch(async (error) => {
    await row.check() // throws if something is missing, such as the brake's table
    throw error
  })
  if (braked) throw notSettled(rule, id, 'the brake has stopped the rule')
  const deadline = await inTransaction(table.sequelize, LIMITS, (transaction) =>
    bringForward(row.guard, at, id, beforeMs, transaction),
  ).catch((cause) => {
    if (!LOCK_WAIT_ENDED.has(sqlStateOf(cause))) throw cause
    const message = `expire: ${named(rule, id)} is locked by another transaction; end that first`
    throw new OrderTimersError('ROW_LOCKED', message, { cause })
  })
  if (deadline === undefined) throw await whyNoTimer('expire', runtime, rule, id)
  return (await runtime.redis?.arming.arm(rule, id, deadline, REDIS_WAIT_MS)) ?? false
}

async function bringRedisForward(runtime: Runtime, rule: ShopRule, id: string): Promise<boolean> {
  const { redis } = runtime
  const known = await redis?.index.deadline(rule.kind, id, REDIS_WAIT_MS)
  const state = await rule.row?.states.read(id, null)
  if (!redis || known === undefined || state?.inFrom === false) throw await whyNoTimer('expire', runtime, rule, id)
  await redis.arming.armOrThrow(rule.kind, id, await redis.clock.nowFor(id))
  return true
}

function runtimeOf(worker: ExpiryWorker): Runtime {
  const runtime = (worker as Partial<ExpiryWorker> | undefined)?.[RUNTIME]
  if (!runtime || typeof worker.sweepNow !== 'function') {
    const remedy = 'pass what startExpiryWorker(…) returned; a test needs a worker of its own process'
    throw new OrderTimersError('INVALID_OPTION', `expire: the first argument must be a worker; ${remedy}`)
  }
  if (worker.health().status !== 'stopped') return runtime
  const why = runtime.enabled ? 'the worker has stopped' : 'the timers are switched off (ORDER_TIMERS=off or enabled: false)'
  throw new OrderTimersError('NOT_SETTLED', `expire: ${why}, and settles nothing`)
}

function reminderOf({ kind, reminders }: ShopRule, before: Duration): ReminderRule {
  const beforeMs = parseDuration('expire: "reminder"', before)
  const found = reminders.find((reminder) => reminder.beforeMs === beforeMs)
  if (found) return found
  const known = reminders.map(({ reminder }) => reminder.label).join(', ') || 'none'
  throw new OrderTimersError('INVALID_OPTION', `expire: ${kind} has no reminder ${before} before its deadline; there are: ${known}`)
}

function notSettled(rule: ShopRule, id: string, why: string, cause?: unknown): OrderTimersError {
  const options = cause === undefined ? {} : { cause }
  return new OrderTimersError('NOT_SETTLED', `expire: ${named(rule, id)} was not settled: ${why}`, options)
}
