// An action as the page sends it: the action, a rule, and the orders with the deadlines that were shown.

import { ACTS, type ActOrder } from '../admin/actions/request.js'
import { Refusal } from '../web/refusal.js'
import type { AdminAction } from './options.js'

export interface ActWish {
  action: Exclude<AdminAction, 'read'>
  kind: string
  orders: ActOrder[]
  by: string | undefined
  reason: string | undefined
  /** For `release`: the time since which the page showed the rule as stopped, in milliseconds. */
  stoppedSince: number | undefined
  /** For `release`: the time since which the page showed the rule as held. Then the hold is released, and not the brake. */
  heldSince: number | undefined
  /** For the release of a hold: future deadlines are moved by its length, or the rule stays held for `by`. Undefined: neither. */
  end: 'shift' | 'grace' | undefined
}

const MOST_ORDERS = 200

/** Actions on a rule, and not on orders. */
const ON_RULES: readonly unknown[] = ['hold', 'release']

/** An operator has the order settled without the answer that `verify` waits for. */
export const UNVERIFIED = 'settle unverified'

/** The actions themselves check the orders. @throws Refusal 400 */
export function parseWish(given: Record<string, unknown>): ActWish {
  const { action, kind, orders = [], by, reason, stoppedSince, heldSince, end } = given
  const isOnRule = ON_RULES.includes(action)
  if (!isOnRule && action !== UNVERIFIED && !ACTS.includes(action as (typeof ACTS)[number])) throw wrong('there is no such action')
  if (typeof kind !== 'string') throw wrong('"kind" must name a rule')
  if (!Array.isArray(orders) || !orders.every((order) => order !== null && typeof order === 'object'))
    throw wrong('"orders" must be an array of { id, deadline }')
  if (!isOnRule && orders.length === 0) throw wrong('no order was named')
  if (!orders.every((order) => hasDeadline(action as ActWish['action'], order)))
    throw wrong('each order needs the "deadline" that was shown: milliseconds, or null for none')
  if (orders.length > MOST_ORDERS) throw wrong(`an action takes at most ${MOST_ORDERS} orders`)
  if (end !== undefined && end !== 'shift' && end !== 'grace') throw wrong('"end" must be "shift" or "grace"')
  const parsed = { by: textOf(by, '"by" must be a duration'), reason: textOf(reason, '"reason" must be a text') }
  if (action === 'hold' && parsed.reason === undefined) throw wrong('say why the rule is held: whoever looks at the rule reads it')
  if (action === UNVERIFIED && parsed.reason === undefined) throw wrong('give the reason for settling it without an answer: it is recorded')
  const instants = { stoppedSince: instantOf(stoppedSince, 'stoppedSince'), heldSince: instantOf(heldSince, 'heldSince') }
  return { action: action as ActWish['action'], kind, orders, ...parsed, ...instants, end }
}

function textOf(value: unknown, message: string): string | undefined {
  if (value !== undefined && typeof value !== 'string') throw wrong(message)
  return value?.trim() || undefined
}

function instantOf(value: unknown, name: string): number | undefined {
  if (value !== undefined && !Number.isSafeInteger(value)) throw wrong(`"${name}" must be whole milliseconds`)
  return value as number | undefined
}

/** For a dead letter the deadline on its row does not matter. */
function hasDeadline(action: ActWish['action'], { deadline }: ActOrder): boolean {
  return action === 'retry' || action === 'discard' || deadline === null || typeof deadline === 'number'
}

function wrong(message: string): Refusal {
  return new Refusal(400, 'WRONG_ACT', message)
}
