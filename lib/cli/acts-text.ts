// The output of commands that act, for people.

import type { Acted, ActedOrder } from '../admin/actions/acted.js'
import { oneLine } from './one-line.js'

/** Of `settle`. */
export function actedText({ kind, orders }: Acted): string {
  return orders.map((order) => `${kind} ${oneLine(order.id)}: ${inWords(kind, order)}`).join('\n')
}

function inWords(kind: string, { outcome, why = '', before, armed }: ActedOrder): string {
  if (outcome !== 'done') return oneLine(why.replace(/^orderTimers: /, '').replace(`${kind}: `, ''))
  const was = typeof before === 'number' ? `, was due ${new Date(before).toISOString()}` : ''
  return `due now${was}; ${armed === false ? 'Redis did not take it, so the next sweep settles it' : 'a worker settles it at once'}`
}
