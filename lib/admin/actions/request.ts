// An operator's request, checked before anything is read or written.

import { parseDuration } from '../../duration.js'
import { OrderTimersError, show } from '../../errors.js'
import type { BoundRule, ShopRule } from '../../rules/rule.js'
import { refuseSince, requirePausable } from '../../timers/allowed-calls.js'
import { invalidId } from '../../timers/order-id.js'
import type { Runtime } from '../../timers/runtime.js'
import { boundRule } from '../problem.js'

/** The actions on orders. `settle` makes an order due now; `retry` and `discard` are about dead letters. */
export const ACTS = ['extend', 'pause', 'resume', 'cancel', 'settle', 'retry', 'discard'] as const

export type ActName = (typeof ACTS)[number]

/** How many orders one action may be about. */
export const MOST_ORDERS = 200

const LONGEST_ACTOR = 200
const LONGEST_REASON = 500

/** Who acts, for the record. */
export interface Actor {
  /** The user's name; 200 characters at most. */
  user: string
  via: 'page' | 'call' | 'command'
  /** Why; 500 characters at most. */
  reason?: string | undefined
}

export interface ActRequest {
  action: ActName
  kind: string
  /** From 1 to 200 orders. */
  orders: readonly ActOrder[]
  /** For `extend`: a duration, such as '24h'. */
  by?: unknown
  /** For `settle`, on a rule with `verify`: the orders are settled without an answer of the payment service. Needs a reason. */
  unverified?: boolean | undefined
}

export interface ActOrder {
  /** As in the model, or as text. */
  id: unknown
  /**
   * The deadline that was shown, in milliseconds or as a Date; null for none. If it has changed, the order is skipped. Undefined: the deadline
   * does not matter.
   */
  deadline?: number | Date | null | undefined
}

/** A valid request, for a rule that supports the action. */
export interface ParsedAct {
  action: ActName
  rule: BoundRule
  /** Canonical id to the deadline that was shown. */
  shown: ReadonlyMap<string, number | null | undefined>
  /** For `extend`; else 0. */
  byMs: number
  /** For `settle`. */
  unverified: boolean
}

/**
 * @throws OrderTimersError INVALID_ACTION, UNKNOWN_KIND, INVALID_ID, INVALID_DURATION; NOT_ON_SINCE, NOT_PAUSABLE if the action is not possible on
 * the rule; INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE
 */
export function parseAct(runtime: Runtime, { action, kind, orders, by, unverified = false }: ActRequest): ParsedAct {
  if (!ACTS.includes(action)) throw invalid(`there is no action ${show(action)}; the actions are ${ACTS.join(', ')}`)
  const rule = ruleOf(runtime, kind)
  refuseMismatch(action, rule)
  if (unverified) requireVerified(action, rule)
  if (!Array.isArray(orders)) throw invalid(`"orders" must be an array of { id, deadline }, got ${show(orders)}`)
  if (orders.length === 0) throw invalid('"orders" is empty; name at least one order')
  if (orders.length > MOST_ORDERS) throw invalid(`an action takes at most ${MOST_ORDERS} orders, got ${orders.length}; make several`)
  const shown = new Map(orders.map((order, i) => [idOf(rule, order, i), shownDeadline(order)]))
  return { action, rule, shown, byMs: action === 'extend' ? parseDuration(`orderTimers: ${kind}: "by"`, by) : 0, unverified }
}

/** @throws OrderTimersError INVALID_ACTION */
export function requireActor(actor: Actor): void {
  const { user, via, reason } = actor
  if (typeof user !== 'string' || user.trim() === '' || user.length > LONGEST_ACTOR)
    throw invalid(`"user" must be a text of ${LONGEST_ACTOR} characters at most that names who acts, got ${show(user)}`)
  if (via !== 'page' && via !== 'call' && via !== 'command') throw invalid(`"via" must be page, call or command, got ${show(via)}`)
  if (reason !== undefined && (typeof reason !== 'string' || reason.length > LONGEST_REASON))
    throw invalid(`"reason" must be a text of ${LONGEST_REASON} characters at most, got ${show(reason)}`)
}

/** For an action that needs a justification. @throws OrderTimersError INVALID_ACTION */
export function requireReason({ reason }: Actor): void {
  if (reason === undefined || reason.trim() === '') throw invalid('settling an order unverified needs a reason; give one (--reason "…")')
}

/** A rule, or a reminder of one. @throws OrderTimersError UNKNOWN_KIND, and what binding it throws */
export function ruleOf(runtime: Runtime, kind: string): BoundRule {
  if (runtime.kinds.includes(kind)) return runtime.rule(kind)
  const reminders = runtime.kinds.flatMap((one) => boundRule(runtime, one).rule?.reminders ?? [])
  return reminders.find((one) => one.kind === kind) ?? runtime.rule(kind)
}

function refuseMismatch(action: ActName, rule: BoundRule): void {
  if (action === 'retry' || action === 'discard') return
  if (rule.reminder) {
    const remedy = `act on "${rule.reminder.of}", whose deadline it follows`
    throw invalid(`${rule.kind} is a reminder, which has only the actions retry and discard; ${remedy}`)
  }
  if (action === 'pause' || action === 'resume') requirePausable(rule as ShopRule, action)
  else if (action !== 'settle') refuseSince(rule as ShopRule, action)
}

function requireVerified(action: ActName, { kind, row }: BoundRule): void {
  if (action !== 'settle') throw invalid(`"unverified" is for settle only, got ${action}`)
  if (!row?.verification) throw invalid(`${kind} has no "verify", so leave "unverified" out`)
}

function idOf(rule: BoundRule, order: unknown, place: number): string {
  if (order === null || typeof order !== 'object') throw invalid(`"orders" must be an array of { id, deadline }, got ${show(order)} in it`)
  const { id } = order as ActOrder
  const parsed = rule.parseId(id)
  if (parsed === null) throw invalidId(`${rule.kind}: orders[${place}]`, id as string, rule.reminder ? undefined : (rule as ShopRule))
  return parsed
}

/** The latest instant of a Date. */
const LAST_MS = 8.64e15

function shownDeadline({ deadline }: ActOrder): number | null | undefined {
  if (deadline === undefined || deadline === null) return deadline
  const milliseconds = Number(deadline)
  if (Math.abs(milliseconds) <= LAST_MS && (typeof deadline === 'number' || deadline instanceof Date)) return milliseconds
  throw invalid(`"deadline" must be a Date, milliseconds, or null for none, got ${show(deadline)}`)
}

export function invalid(message: string): OrderTimersError {
  return new OrderTimersError('INVALID_ACTION', `orderTimers: ${message}`)
}
