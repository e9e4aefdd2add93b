// A settlement writes all that the rule says, and nothing else: the status, what `set` names, and no deadline any more.

import type { Change, RuleFacts } from '../../history.js'
import { ofEachOrder } from '../invariant.js'
import { deadlineColumn, enters, holds, leaves, ownColumns, STATUS } from '../rule-facts.js'
import { changedColumns } from '../wish-fits.js'

export const carriedOut = ofEachOrder(
  'carried-out',
  'A settlement writes `to`, all of `set`, and takes the deadline away, in one change. It writes nothing else, but for what starts and ends the timers of rules that the order comes to or leaves.',
  function* ({ settlements, rules }) {
    for (const { rule, change } of settlements) {
      const { from, to } = change
      if (!to) continue
      if (!holds(rule.set, to)) yield { message: `${rule.kind} settled it without writing "set"`, evidence: { change } }
      if (rule.to === undefined) continue // all else is the effect's own
      const column = deadlineColumn(rule)
      if (column !== undefined && to[column] !== undefined) {
        yield { message: `${rule.kind} settled it and left its deadline`, evidence: { change } }
      }
      const named = namedBy(rule, rules, change)
      const strange = changedColumns(from, to).filter((each) => !named.has(each))
      if (strange.length > 0) yield { message: `${rule.kind} settled it and also wrote ${strange.join(', ')}`, evidence: { change } }
    }
  },
)

function namedBy(rule: RuleFacts, rules: readonly RuleFacts[], change: Change): Set<string> {
  const moved = rules.filter((each) => each === rule || enters(each, change) || leaves(each, change))
  return new Set([STATUS, 'updatedAt', ...Object.keys(rule.set ?? {}), ...moved.flatMap(ownColumns)])
}
