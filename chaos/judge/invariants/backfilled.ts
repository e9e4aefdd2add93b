// With `backfill` no order waits without a deadline once a sweep has passed.

import { allowedMs } from '../allowance.js'
import { ofEachOrder } from '../invariant.js'
import { applies, deadlineColumn, isHeld, keptOf } from '../rule-facts.js'

export const backfilled = ofEachOrder(
  'backfilled',
  'At the end of a run no order to which a rule with `backfill` applies is without a deadline, and none got one that does not count from what the rule says.',
  function* ({ changes, rules }, { run }) {
    const last = changes.at(-1)
    for (const rule of rules) {
      const column = deadlineColumn(rule)
      if (!rule.backfill || column === undefined || !last || !applies(rule, last.to)) continue
      if (last.to?.[column] !== undefined || keptOf(rule, last.to) !== undefined || isHeld(rule, last.to)) continue
      if (last.trueAt > run.endedAt - run.sweepMs - allowedMs(run)) continue
      yield { message: `${rule.kind}: no sweep gave it a deadline`, evidence: { last }, feature: 'backfill' }
    }
  },
)
