// An order is settled once for each deadline. A second settlement needs a deadline that somebody gave it after the first.

import { ofEachOrder } from '../invariant.js'
import type { Settlement } from '../orders.js'
import { applies, isPending } from '../rule-facts.js'

export const settledOnce = ofEachOrder(
  'settled-once',
  'Between two settlements of an order by one rule, something else brought it back to where the rule applies, or gave it a deadline.',
  function* ({ settlements, changes }) {
    const last = new Map<string, Settlement>()
    for (const settlement of settlements) {
      const { rule, change } = settlement
      const first = last.get(rule.kind)
      last.set(rule.kind, settlement)
      if (!first) continue
      const between = changes.filter(({ n, txid }) => n > first.change.n && n < change.n && txid !== first.change.txid)
      const isReady = rule.deadline === 'redis' ? applies : isPending
      if (between.some(({ from, to }) => !isReady(rule, from) && isReady(rule, to))) continue
      yield { message: `${rule.kind} settled it twice for one deadline`, evidence: { first: first.change, second: change } }
    }
  },
)
