// What the page sends to have done: an act, a rule, and the orders with the deadlines that were shown.

import { ACTS, type ActOrder } from '../admin/actions/request.js'
import { Refusal } from '../web/refusal.js'
import type { AdminAction } from './options.js'

export interface ActWish {
  action: Exclude<AdminAction, 'read'>
  kind: string
  orders: ActOrder[]
  by: string | undefined
  reason: string | undefined
  /** Of `release`: since when the rule was shown to be stopped, in milliseconds. */
  stoppedSince: number | undefined
}

const MOST_ORDERS = 200

/** What is in the orders is checked by the acts. @throws Refusal 400 */
export function parseWish({ action, kind, orders = [], by, reason, stoppedSince }: Record<string, unknown>): ActWish {
  if (action !== 'release' && !ACTS.includes(action as (typeof ACTS)[number])) throw wrong('there is no such act')
  if (typeof kind !== 'string') throw wrong('"kind" must name a rule')
  if (!Array.isArray(orders) || !orders.every((order) => order !== null && typeof order === 'object'))
    throw wrong('"orders" must be an array of { id, deadline }')
  if (action !== 'release' && orders.length === 0) throw wrong('no order was named')
  if (!orders.every((order) => hasDeadline(action as ActWish['action'], order)))
    throw wrong('each order needs the "deadline" that was shown: milliseconds, or null for none')
  if (orders.length > MOST_ORDERS) throw wrong(`an act takes ${MOST_ORDERS} orders at most`)
  if (by !== undefined && typeof by !== 'string') throw wrong('"by" must be a duration')
  if (reason !== undefined && typeof reason !== 'string') throw wrong('"reason" must be a text')
  if (stoppedSince !== undefined && !Number.isSafeInteger(stoppedSince)) throw wrong('"stoppedSince" must be whole milliseconds')
  const instant = stoppedSince as number | undefined
  return { action: action as ActWish['action'], kind, orders, by: by?.trim(), reason: reason?.trim() || undefined, stoppedSince: instant }
}

/** A dead letter is acted on whatever the deadline on its row is. */
function hasDeadline(action: ActWish['action'], { deadline }: ActOrder): boolean {
  return action === 'retry' || action === 'discard' || deadline === null || typeof deadline === 'number'
}

function wrong(message: string): Refusal {
  return new Refusal(400, 'WRONG_ACT', message)
}
