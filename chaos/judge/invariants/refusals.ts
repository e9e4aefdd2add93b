// A call is refused only for a reason that was true at some moment between its invocation and its answer.

import type { Row, RuleFacts, Wish } from '../../history.js'
import { ofEachOrder } from '../invariant.js'
import { applies, deadlineOf, extendedOf } from '../rule-facts.js'
import { statesWithin } from '../states.js'
import { isOwnWrite } from '../wish-fits.js'

export const refusals = ofEachOrder(
  'refusals',
  'A refused call had a reason that was true at some moment between its invocation and its answer.',
  function* ({ wishes, changes, rules }) {
    // `retry` asks about dead letters, which no row shows.
    for (const wish of wishes) {
      if (wish.answer !== 'refused' || isOwnWrite(wish) || wish.call === 'retry' || changes.length === 0) continue
      const rule = rules.find(({ kind }) => kind === wish.kind)
      if (!rule || rule.deadline === 'redis') continue
      const states = statesWithin(changes, wish.invokedAt, wish.completedAt)
      if (states.some((state) => isReason(rule, wish, state))) continue
      yield { message: `"${wish.call}" was refused with ${wish.got?.code}, which was never true while it ran`, evidence: { wish, states } }
    }
  },
)

function isReason(rule: RuleFacts, { call, asked, got }: Wish, row: Row | null): boolean {
  const code = String(got?.code).replace('ERR_ORDER_TIMERS_', '')
  switch (code) {
    case 'ORDER_NOT_FOUND':
      return row === null
    case 'ORDER_NOT_IN_FROM':
      return row !== null && !applies(rule, row)
    case 'NO_TIMER':
      return row !== null && (deadlineOf(rule, row) === undefined || call === 'resume')
    case 'EXTENSION_LIMIT': {
      const { extensions } = rule
      if (!extensions) return false
      return 'max' in extensions
        ? extendedOf(rule, row) + 1 > extensions.max
        : extendedOf(rule, row) + Number(asked.by) > extensions.totalMs
    }
    default:
      return true // a lock, a connection: the row does not show it
  }
}
