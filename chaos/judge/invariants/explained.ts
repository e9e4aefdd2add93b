// Nothing happens to a row without a cause, and nothing that was acknowledged leaves no trace.

import { explain } from '../explanation.js'
import { ofEachOrder } from '../invariant.js'

export const explained = ofEachOrder(
  'explained',
  'Every change is explained by exactly one wish, settlement, backfill, declared pause or cascade; every acknowledged wish by exactly one change, or by none where it was idle.',
  function* (order, { run }) {
    const { unexplained, unanswered } = explain(order, run)
    for (const change of unexplained) {
      const near = order.wishes.filter(({ invokedAt }) => Math.abs(invokedAt - change.trueAt) < 5_000)
      yield { message: `${change.by} changed it, and nothing that was asked explains it`, evidence: { change, near } }
    }
    for (const wish of unanswered) {
      const near = order.changes.filter(({ trueAt }) => Math.abs(trueAt - wish.invokedAt) < 5_000)
      yield { message: `"${wish.call}" of ${wish.process} was acknowledged, and no change carries it out`, evidence: { wish, near } }
    }
  },
)
