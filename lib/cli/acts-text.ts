// The output of commands that act, for people.

import type { Acted, ActedOrder } from '../admin/actions/acted.js'
import { oneLine } from './one-line.js'

/** For `settle`, `extend` and `cancel`. */
export function actedText({ kind, action, orders }: Acted): string {
  return orders.map((order) => `${kind} ${oneLine(order.id)}: ${inWords(kind, action, order)}`).join('\n')
}

function inWords(kind: string, action: string, { outcome, why = '', before, after, armed }: ActedOrder): string {
  if (outcome !== 'done') return oneLine(why.replace(/^orderTimers: /, '').replace(`${kind}: `, ''))
  const was = typeof before === 'number' ? `, was due ${new Date(before).toISOString()}` : ''
  if (action === 'cancel') return `has no timer any more${was}`
  if (action === 'extend') return `due ${new Date(after ?? Number.NaN).toISOString()}${was}`
  return `due now${was}; ${armed === false ? 'Redis did not take it, so the next sweep settles it' : 'a worker settles it at once'}`
}
