// No order moves before the deadline that stood on its row, by Postgres's clock as the package sees it.

import type { RuleFacts } from '../../history.js'
import { ofEachOrder } from '../invariant.js'
import { aftersOf } from '../rule-facts.js'
import type { Run } from '../run.js'

/** A transaction reads the clock when it begins; if the clock is set back before it writes, the ledger shows the later reading. */
const TRANSACTION_MS = 35_000

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

/** The latest reading of Postgres's clock that the settling transaction may have had. */
function latestClock({ clockMoves }: Run, at: number, trueAt: number): number {
  const before = clockMoves.filter((move) => move.at <= trueAt)
  const offsets = before.flatMap(({ offsetMs }, index) => ((before[index + 1]?.at ?? trueAt) >= trueAt - TRANSACTION_MS ? [offsetMs] : []))
  return Math.max(at, ...offsets.map((offsetMs) => trueAt + offsetMs))
}
