// The errors of placing and releasing a hold.

import { OrderTimersError } from '../errors.js'

/** `since` in milliseconds. */
interface Standing {
  since: number
  by: string
  reason: string
}

/** @param hold the one that stands */
export function alreadyHeld(kind: string, hold: Standing | undefined): OrderTimersError {
  const since = hold ? ` since ${new Date(hold.since).toISOString()} by ${hold.by} (${hold.reason})` : ''
  const remedy = `nothing was changed; release it first (order-timers release ${kind})`
  return new OrderTimersError('ALREADY_HELD', `orderTimers: ${kind}: is held already${since}; ${remedy}`)
}

/** @param other the hold of a run, if one stands */
export function notHeld(kind: string, other: Standing | undefined): OrderTimersError {
  const what = other ? `is held by a run alone (${other.reason}), which releases it at its end` : 'is not held'
  const remedy = `order-timers ${other ? `runs ${kind} shows it` : 'status shows what is'}`
  return new OrderTimersError('NOT_HELD', `orderTimers: ${kind}: ${what}, so nothing was released; ${remedy}`)
}
