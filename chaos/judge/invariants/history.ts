// The history has one row for each settlement, with what the settlement was.

import { ofEachOrder } from '../invariant.js'
import type { Settlement } from '../orders.js'
import { isSame, STATUS } from '../rule-facts.js'
import type { Recorded } from '../run.js'

export const history = ofEachOrder(
  'history',
  'Each settlement of a rule with `history` has exactly one row in it, with its statuses and its deadline; there is no row without a settlement.',
  function* ({ settlements, recorded, rules }) {
    const left = recorded.filter(({ reminder }) => reminder === '')
    for (const settlement of settlements) {
      if (!settlement.rule.history) continue
      const index = left.findIndex((row) => isOf(row, settlement))
      if (index < 0)
        yield { message: `${settlement.rule.kind}: the history has no row`, evidence: { settlement, recorded }, feature: 'history' }
      else left.splice(index, 1)
    }
    for (const row of left) {
      if (!rules.some(({ kind, history }) => kind === row.kind && history)) continue
      yield { message: `${row.kind}: the history has a row and nothing was settled`, evidence: { row, settlements }, feature: 'history' }
    }
  },
)

function isOf(row: Recorded, { rule, change, deadline }: Settlement): boolean {
  if (row.kind !== rule.kind || !isSame(row.deadline, deadline)) return false
  if (rule.to === undefined) return row.toStatus === null
  return row.fromStatus === String(change.from?.[STATUS]) && row.toStatus === rule.to
}
