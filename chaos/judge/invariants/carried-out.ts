// A settlement writes all that the rule says: the status, what `set` names, and no deadline any more.

import { ofEachOrder } from '../invariant.js'
import { deadlineColumn, holds } from '../rule-facts.js'

export const carriedOut = ofEachOrder(
  'carried-out',
  'A settlement writes `to`, all of `set`, and takes the deadline away, in one change.',
  function* ({ settlements }) {
    for (const { rule, change } of settlements) {
      const { to } = change
      if (!to) continue
      if (!holds(rule.set, to)) yield { message: `${rule.kind} settled it without writing "set"`, evidence: { change } }
      const column = deadlineColumn(rule)
      if (column !== undefined && rule.to !== undefined && to[column] !== undefined) {
        yield { message: `${rule.kind} settled it and left its deadline`, evidence: { change } }
      }
    }
  },
)
