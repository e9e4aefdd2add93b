// The outcome of an action: for each order, and as it is recorded.

import type { ErrorCode, OrderTimersError } from '../../errors.js'
import type { RecordedOrder } from '../../rows/actions-table.js'

/**
 * `done`: it was carried out, or was already so. `skipped`: the order has changed since it was shown. `refused`: the action is not possible on this
 * order now. `failed`: Redis did not carry it out, or did not answer whether it did.
 */
export type Outcome = 'done' | 'skipped' | 'refused' | 'failed'

export interface ActedOrder {
  id: string
  outcome: Outcome
  /** Undefined if it is `done`. */
  code?: ErrorCode
  /** The same in words. */
  why?: string
  /** The deadline before and after, in milliseconds since 1970; null for none, undefined if it is not known. */
  before?: number | null
  after?: number | null
  /** For a running timer on a row: whether Redis has it. If not, the next sweep handles it. */
  armed?: boolean
}

export interface Acted {
  action: string
  kind: string
  /**
   * The id of the entry in `order_timers_actions`. Null if nothing was tried, because no order was a dead letter; and if no database is known,
   * because all rules are plain functions.
   */
  record: string | null
  /** On how many orders it was carried out. */
  count: number
  /** In the given order, each once. */
  orders: ActedOrder[]
  /** For `settle` and `retry`: why a worker does not settle them at once, as text; left out if nothing is known to prevent it. */
  stopped?: string
}

export function actedOn(action: string, kind: string, record: string | null, orders: ActedOrder[]): Acted {
  return { action, kind, record, count: countDone(orders), orders }
}

export function countDone(orders: readonly ActedOrder[]): number {
  return orders.filter(({ outcome }) => outcome === 'done').length
}

export function refusedOrder(id: string, { code, message }: OrderTimersError, before?: number | null): ActedOrder {
  return { id, outcome: 'refused', code, why: message, ...(before !== undefined && { before, after: before }) }
}

export function skippedOrder(kind: string, id: string, shown: number | null, before: number | null): ActedOrder {
  const why = `${kind}: order ${id} was shown with ${inWords(shown)} and has ${inWords(before)} now; look again`
  return { id, outcome: 'skipped', why, before, after: before }
}

/** Row deadlines are shown rounded up to whole milliseconds; those only in Redis may be a few milliseconds off. */
export function isAsShown(shown: number | null | undefined, now: number | null, toleranceMs = 0): boolean {
  if (shown === undefined || shown === now) return true
  return shown !== null && now !== null && Math.abs(shown - now) <= toleranceMs
}

/** Without the message, which repeats the code. */
export function forRecord(orders: readonly ActedOrder[]): RecordedOrder[] {
  return orders.map(({ id, outcome, code, before, after }) => ({
    id,
    outcome,
    ...(code && { code }),
    ...(before !== undefined && { before, after: after ?? null }),
  }))
}

function inWords(deadline: number | null): string {
  if (deadline === null) return 'no deadline'
  const date = new Date(deadline)
  return `the deadline ${Number.isNaN(date.getTime()) ? deadline : date.toISOString()}` // a row may have infinity
}
