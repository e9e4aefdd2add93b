// No order moves before the deadline that stood on its row, by Postgres's clock as the package sees it.

import type { RuleFacts } from '../../history.js'
import { latestClock } from '../clock.js'
import { ofEachOrder } from '../invariant.js'
import { aftersOf } from '../rule-facts.js'

export const neverEarly = ofEachOrder(
  'never-early',
  'No order is settled before the deadline that stood on its row, or without one where the rule keeps its deadlines there.',
  function* ({ settlements }, { run }) {
    for (const { rule, change, deadline } of settlements) {
      if (rule.deadline === 'redis') continue
      if (deadline === undefined) yield { message: `${rule.kind} settled it without a deadline`, evidence: { change } }
      else if (latestClock(run, change.at, change.trueAt) < deadline - shorterBy(rule)) {
        yield {
          message: `${rule.kind} settled it ${Math.round(deadline - change.at)} ms before its deadline`,
          evidence: { change, deadline },
        }
      }
    }
  },
)

/** A deployment with a shorter `after` reckons an earlier deadline from the same start. */
function shorterBy(rule: RuleFacts): number {
  return rule.deadline !== 'redis' && 'since' in rule.deadline ? rule.afterMs - Math.min(...aftersOf(rule)) : 0
}
