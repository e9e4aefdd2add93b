// Once `cancel`, `pause` or a payment was acknowledged, the order is not settled, unless something gave it a deadline again.

import type { Change, RuleFacts, Wish } from '../../history.js'
import { ofEachOrder } from '../invariant.js'
import { SLACK_MS } from '../orders.js'
import { deadlineOf, isPending } from '../rule-facts.js'
import { isOwnWrite, takesOut } from '../wish-fits.js'

export const withdrawn = ofEachOrder(
  'withdrawn',
  'An order whose cancellation, pause, payment or removal was acknowledged is not settled afterwards, unless it was given a deadline again.',
  function* ({ wishes, settlements, changes, rules }) {
    if (settlements.length === 0) return
    for (const rule of rules) {
      if (rule.deadline === 'redis') continue
      for (const wish of wishes) {
        if (wish.answer !== 'ok' || !withdraws(rule, wish)) continue
        const after = settlements.find(
          (each) =>
            each.rule === rule &&
            each.change.trueAt > wish.completedAt + SLACK_MS &&
            !changes.some((change) => isAfter(change, wish) && change.n < each.change.n && grants(rule, change)),
        )
        if (after) {
          yield { message: `${rule.kind} settled it although "${wish.call}" was acknowledged`, evidence: { wish, settled: after.change } }
        }
      }
    }
  },
)

function withdraws(rule: RuleFacts, wish: Wish): boolean {
  if (isOwnWrite(wish)) return takesOut(rule, wish)
  return wish.kind === rule.kind && (wish.call === 'cancel' || wish.call === 'pause')
}

function isAfter({ trueAt }: Change, { invokedAt }: Wish): boolean {
  return trueAt >= invokedAt - SLACK_MS
}

/** The row gets a timer, or another one. */
function grants(rule: RuleFacts, { from, to }: Change): boolean {
  return isPending(rule, to) && (!isPending(rule, from) || deadlineOf(rule, from) !== deadlineOf(rule, to))
}
