// What must hold of the money: judged by the orders' rows, the ledger of their changes, and what the payment service knows.

import type { Enquiries, Session } from './service.js'
import type { Asking } from './tables.js'

export interface JudgedOrder {
  id: string
  status: string
  /** A call for it was acknowledged, or its row has a deadline. Otherwise the run ended while calls failed. */
  isScheduled: boolean
  /** How often the row was written since it was first asked about, other than by its settlement. */
  writes: number
  sessions: readonly Session[]
  enquiries: Enquiries | undefined
  /** Deleted at the payment service, which knows nothing of it. */
  gone: boolean
}

export interface PaymentVerdict {
  orders: number
  cancelled: number
  paid: number
  /** Paid at the payment service, and the shop was never told: they wait, and are reported as UNVERIFIED. */
  waiting: number
  /** Deleted at the payment service: whether they are paid cannot be known, so they wait as well. */
  gone: number
  /** Payments of cancelled orders: refunded, and not, since the webhook was lost. With closing there is none. */
  raceRefunds: number
  unrefunded: number
  enquiries: number
  allowedEnquiries: number
  anomalies: string[]
}

/** @param spared how many enquiries may have been lost with workers that were killed */
export function judgePayments(orders: readonly JudgedOrder[], asking: Asking, spared: number): PaymentVerdict {
  const anomalies: string[] = []
  let [raceRefunds, unrefunded, enquiries, accounted, again] = [0, 0, 0, 0, 0]
  for (const { id, status, isScheduled, sessions, writes, enquiries: counted, gone } of orders) {
    const paid = sessions.filter(({ state }) => state === 'paid')
    const refunded = paid.filter((one) => one.refunded)
    if (status === 'cancelled') {
      raceRefunds += refunded.length
      unrefunded += paid.length - refunded.length
    }
    if (status === 'cancelled' && asking === 'close' && paid.length > 0)
      anomalies.push(`order ${id} is both paid (${paid.map((one) => one.id)}) and cancelled`)
    if (status === 'cancelled' && asking === 'close' && paid.length > refunded.length)
      anomalies.push(`order ${id}: money without an order or a refund`)
    if (status === 'placed' && isScheduled && paid.length === 0 && !gone) anomalies.push(`order ${id} was never settled`)
    if (status === 'paid' && paid.length === 0) anomalies.push(`order ${id} is paid, and there is no money`)
    if (status === 'cancelled' && (counted?.yes ?? 0) === 0) anomalies.push(`order ${id} was cancelled unverified`)
    const { asked = 0, yes = 0, no = 0 } = counted ?? {}
    enquiries += asked
    // One for an order that is due, one more after each answer but yes, and one more after each write, such as another session.
    if (asked > 0) accounted += 1 + no + writes
    again += Math.max(0, yes - 1 - writes)
  }
  if (again > spared) anomalies.push(`${again} orders were asked about again without a reason; ${spared} may be for killed workers`)
  const count = (wanted: string) => orders.filter(({ status }) => status === wanted).length
  const allowedEnquiries = accounted + spared
  if (enquiries > allowedEnquiries) anomalies.push(`${enquiries} enquiries, and ${allowedEnquiries} were allowed`)
  return {
    ...{
      orders: orders.length,
      cancelled: count('cancelled'),
      paid: count('paid'),
      waiting: orders.filter(({ status, gone, isScheduled }) => status === 'placed' && !gone && isScheduled).length,
      gone: orders.filter(({ status, gone }) => status === 'placed' && gone).length,
    },
    ...{ raceRefunds, unrefunded, enquiries, allowedEnquiries, anomalies },
  }
}
