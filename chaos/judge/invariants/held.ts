// While the condition of a declared pause holds on the row, or a pause has kept the time, the order is not settled.

import { ofEachOrder } from '../invariant.js'
import { isHeld, keptOf } from '../rule-facts.js'

export const held = ofEachOrder(
  'held',
  'A paused order is not settled: neither by a call nor while the declared condition holds.',
  function* ({ settlements }) {
    for (const { rule, change } of settlements) {
      if (isHeld(rule, change.from)) {
        yield { message: `${rule.kind} settled it while its pause held`, evidence: { change }, feature: 'declaredPause' }
      } else if (keptOf(rule, change.from) !== undefined) {
        yield { message: `${rule.kind} settled it although it was paused`, evidence: { change }, feature: 'pause' }
      }
    }
  },
)
