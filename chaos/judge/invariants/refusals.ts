// A call is refused only for a reason that was true at some moment between its invocation and its answer, and fails only as servers and locks
// let it fail.

import type { Row, RuleFacts, Wish } from '../../history.js'
import { ofEachOrder } from '../invariant.js'
import { applies, deadlineOf, extendedOf, isHeld, isPending, keptOf } from '../rule-facts.js'
import { statesWithin } from '../states.js'
import { isOwnWrite } from '../wish-fits.js'

const PREFIX = 'ERR_ORDER_TIMERS_'
/** Errors of JavaScript's own, by name: a mistake in the code. */
const MISTAKES = new Set(['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'AssertionError'])

/** What a row shows, and what servers and locks bring about. Whatever else a call of the shop's is answered with is the package's own fault. */
const CODES = new Set(
  ['ORDER_NOT_FOUND', 'ORDER_NOT_IN_FROM', 'NO_TIMER', 'EXTENSION_LIMIT', 'ROW_LOCKED', 'OUTCOME_UNKNOWN']
    .concat(['POSTGRES_UNAVAILABLE', 'REDIS_UNAVAILABLE', 'REDIS_UNUSABLE', 'REDIS_REFUSES', 'CLOSED'])
    .map((name) => `${PREFIX}${name}`),
)

export const refusals = ofEachOrder(
  'refusals',
  'A refused call had a reason that was true at some moment between its invocation and its answer. A call fails for no other reason than a row, a lock or a server.',
  function* ({ wishes, changes, rules }) {
    for (const wish of wishes) {
      const code = String(wish.got?.code ?? '')
      if (isOwnWrite(wish) || !(code.startsWith(PREFIX) ? !CODES.has(code) : MISTAKES.has(code))) continue
      yield { message: `"${wish.call}" failed with ${code}, which no row, lock or server explains`, evidence: { wish } }
    }
    // `retry` asks about dead letters, which no row shows.
    for (const wish of wishes) {
      if (wish.answer !== 'refused' || isOwnWrite(wish) || wish.call === 'retry' || changes.length === 0) continue
      const rule = rules.find(({ kind }) => kind === wish.kind)
      if (!rule || rule.deadline === 'redis') continue
      const states = statesWithin({ changes, wishes }, wish.invokedAt, wish.completedAt)
      if (states.some((state) => isReason(rule, wish, state))) continue
      yield { message: `"${wish.call}" was refused with ${wish.got?.code}, which was never true while it ran`, evidence: { wish, states } }
    }
  },
)

function isReason(rule: RuleFacts, { call, asked, got }: Wish, row: Row | null): boolean {
  const code = String(got?.code).replace(PREFIX, '')
  switch (code) {
    case 'ORDER_NOT_FOUND':
      return row === null
    case 'ORDER_NOT_IN_FROM':
      return row !== null && !applies(rule, row)
    case 'NO_TIMER': {
      const isPausing = call === 'pause' || call === 'resume' // which find what they want where it is paused
      return (
        applies(rule, row) && (deadlineOf(rule, row) === undefined || isHeld(rule, row)) && !(isPausing && keptOf(rule, row) !== undefined)
      )
    }
    case 'EXTENSION_LIMIT': {
      const { extensions } = rule
      if (!extensions || !isPending(rule, row)) return false
      return 'max' in extensions
        ? extendedOf(rule, row) + 1 > extensions.max
        : extendedOf(rule, row) + Number(asked.by) > extensions.totalMs
    }
    default:
      return true // a lock, a connection: the row does not show it
  }
}
