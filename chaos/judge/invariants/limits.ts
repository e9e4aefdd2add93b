// The limits of `extend` hold, however many callers try at once.

import type { RuleFacts } from '../../history.js'
import { explain } from '../explanation.js'
import { ofEachOrder } from '../invariant.js'
import type { Order } from '../orders.js'
import { extendedOf } from '../rule-facts.js'
import type { Run } from '../run.js'

export const limits = ofEachOrder(
  'limits',
  'No order is extended more often, or by more, than its rule allows between two deadlines that were given anew.',
  function* (order, { run }) {
    for (const rule of order.rules) {
      const { extensions } = rule
      if (!extensions) continue
      const most = 'max' in extensions ? extensions.max : extensions.totalMs
      const found = mostExtended(order, rule, run)
      if (found > most)
        yield { message: `${rule.kind}: extended ${found}, of ${most} at most`, evidence: { changes: order.changes }, feature: 'extend' }
    }
  },
)

/** Counted twice: by the row's own column, and by the changes that carry out an `extend`. */
function mostExtended(order: Order, rule: RuleFacts, run: Run): number {
  const { wishOf } = explain(order, run)
  let counted = 0
  let most = 0
  for (const { n, to } of order.changes) {
    const wish = wishOf.get(n)
    if (wish?.call === 'extend' && wish.kind === rule.kind)
      counted += rule.extensions && 'max' in rule.extensions ? 1 : Number(wish.asked.by)
    else if (extendedOf(rule, to) === 0) counted = 0
    most = Math.max(most, counted, extendedOf(rule, to))
  }
  return most
}
