// What `run` writes in the settling transaction is there once for each settlement, and not at all where that was rolled back.

import { ofEachOrder } from '../invariant.js'

export const runOnce = ofEachOrder(
  'run-once',
  'Each settlement of a rule with `run` has exactly one effect of it, in its own transaction; there is no effect without a settlement.',
  function* ({ settlements, effects, rules }) {
    for (const { rule, change } of settlements) {
      if (!rule.run) continue
      const own = effects.filter(({ kind, txid }) => kind === rule.kind && txid === change.txid)
      if (own.length === 1) continue
      yield {
        message: `${rule.kind}: "run" took effect ${own.length} times for one settlement`,
        evidence: { change, effects },
        feature: 'run',
      }
    }
    for (const effect of effects) {
      if (!rules.some(({ kind }) => kind === effect.kind)) continue
      if (settlements.some(({ rule, change }) => rule.kind === effect.kind && change.txid === effect.txid)) continue
      yield { message: `${effect.kind}: "run" took effect and nothing was settled`, evidence: { effect, settlements }, feature: 'run' }
    }
  },
)
