// What was overdue for longer than `staleAfter` is settled only if a person asks for it.

import { ofEachOrder } from '../invariant.js'

/** The guard reads the clock when its transaction begins, and a transaction takes as long as it takes. */
const TRANSACTION_MS = 35_000

export const stale = ofEachOrder(
  'stale',
  'An order that was overdue for longer than `staleAfter` is never settled unasked.',
  function* ({ settlements }) {
    for (const { rule, change, deadline } of settlements) {
      if (deadline === undefined || change.at - deadline <= rule.staleAfterMs + slackOf(rule.staleAfterMs)) continue
      yield {
        message: `${rule.kind} settled it ${Math.round(change.at - deadline)} ms after its deadline`,
        evidence: { change, staleAfterMs: rule.staleAfterMs },
        feature: 'stale',
      }
    }
  },
)

function slackOf(staleAfterMs: number): number {
  return Math.min(TRANSACTION_MS, staleAfterMs / 10)
}
