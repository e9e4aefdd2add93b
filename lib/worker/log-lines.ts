// The log lines about settled orders, with the rule's own description.

import type { SettledOrder } from '../rows/settlement.js'
import type { BoundRule } from '../rules/rule.js'

/** One order, at debug level: `訂單 34 自動確認收貨` where the description is a function, else `order_confirm 34: …`. */
export function describe({ kind, description }: BoundRule, id: string): string {
  if (typeof description === 'function') return description(id)
  return description === undefined ? `${kind} ${id}: settled` : `${kind} ${id}: ${description}`
}

/** One batch: how many, and how late. */
export function summary({ kind, description }: BoundRule, orders: readonly SettledOrder[]): string {
  const what = typeof description === 'string' ? `${kind} (${description})` : kind
  const lateness = orders.flatMap(({ latenessMs }) => (latenessMs === null ? [] : [latenessMs])).sort((a, b) => a - b)
  if (lateness.length === 0) return `${what}: ${orders.length} settled`
  const median = lateness[Math.floor(lateness.length / 2)] as number
  return `${what}: ${orders.length} settled, late by ${median.toFixed(1)} ms (median), ${(lateness.at(-1) as number).toFixed(1)} ms (most)`
}
