// The output of commands that act, for people.

import type { Acted, ActedOrder } from '../admin/actions/acted.js'
import { oneLine } from './one-line.js'

/** For `settle`, `extend` and `cancel`. */
export function actedText({ kind, action, orders, stopped }: Acted): string {
  return orders.map((order) => `${kind} ${oneLine(order.id)}: ${inWords(kind, action, order, stopped)}`).join('\n')
}

function inWords(kind: string, action: string, { outcome, why = '', before, after, armed }: ActedOrder, stopped?: string): string {
  if (outcome !== 'done') return oneLine(why.replace(/^orderTimers: /, '').replace(`${kind}: `, ''))
  const was = typeof before === 'number' ? `, was due ${new Date(before).toISOString()}` : ''
  if (action === 'cancel') return `has no timer any more${was}`
  if (action === 'extend') return `due ${new Date(after ?? Number.NaN).toISOString()}${was}`
  const next = armed === false ? 'Redis does not have it, so the next sweep settles it' : 'a worker settles it at once'
  return `due now${was}; ${stopped === undefined ? next : oneLine(stopped)}`
}
