// Once `schedule` or `extend` was acknowledged with a deadline, the order is not settled before it, unless something changed the deadline again.

import { ofEachOrder } from '../invariant.js'
import { SLACK_MS } from '../orders.js'
import { deadlineOf, wholeMs } from '../rule-facts.js'

export const extended = ofEachOrder(
  'extended',
  'An order is not settled before a deadline that was acknowledged to the caller, unless its deadline changed again.',
  function* ({ wishes, settlements, changes, rules }) {
    for (const wish of wishes) {
      const deadline = wish.got?.deadline
      if (wish.answer !== 'ok' || deadline == null || (wish.call !== 'extend' && wish.call !== 'schedule')) continue
      const rule = rules.find(({ kind }) => kind === wish.kind)
      if (!rule || rule.deadline === 'redis') continue
      const early = settlements.find(
        (each) => each.rule === rule && each.change.trueAt > wish.completedAt + SLACK_MS && (each.deadline ?? 0) < deadline - 1,
      )
      if (!early) continue
      const isChanged = changes.some(({ trueAt, n, from, to }) => {
        if (trueAt < wish.invokedAt - SLACK_MS || n >= early.change.n) return false
        const [before, after] = [deadlineOf(rule, from), deadlineOf(rule, to)]
        return before !== after && (after === undefined || wholeMs(after) !== deadline)
      })
      if (isChanged) continue
      const message = `${rule.kind} settled it before the deadline that "${wish.call}" was acknowledged with`
      yield { message, evidence: { wish, settled: early.change } }
    }
  },
)
