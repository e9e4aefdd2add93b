// Rules that follow each other: the statement that settles one starts the next one's timer, once. What it must not touch, it leaves alone.

import type { Row, RuleFacts } from '../../history.js'
import { ofEachOrder } from '../invariant.js'
import type { Settlement } from '../orders.js'
import { aftersOf, countsFrom, deadlineColumn, deadlineOf, isHeld, keptOf } from '../rule-facts.js'
import type { Run } from '../run.js'
import { changedColumns } from '../wish-fits.js'

const TRANSACTION_MS = 35_000

export const cascade = ofEachOrder(
  'cascade',
  'A settlement that leads into the `from` of a rule with `auto` starts its timer in the same statement; a settlement touches no other rule’s deadline.',
  function* ({ settlements, rules }, { run }) {
    for (const settlement of settlements) {
      const { rule, change } = settlement
      const { from, to, at } = change
      if (!to) continue
      const next = rules.find(({ kind }) => kind === rule.next)
      if (next) {
        const deadline = deadlineOf(next, to)
        if (isPausedAtOnce(next, to)) continue
        if (deadline === undefined || !countsFrom(next, deadline, at, TRANSACTION_MS) || isBefore(settlement, next, deadline, run)) {
          yield { message: `${rule.kind} settled it and did not start the timer of ${next.kind}`, evidence: { change }, feature: 'cascade' }
        }
      }
      const changed = changedColumns(from, to)
      for (const other of rules) {
        const column = deadlineColumn(other)
        if (other === rule || other === next || column === undefined || column === deadlineColumn(rule)) continue
        if (!changed.includes(column) || (other.starts && to[column] === undefined)) continue
        yield { message: `${rule.kind} settled it and changed the deadline of ${other.kind}`, evidence: { change } }
      }
    }
  },
)

/** Whether it counts from before the order was due. */
function isBefore({ change, deadline: due }: Settlement, next: RuleFacts, deadline: number, { clockMoves }: Run): boolean {
  const isMoved = clockMoves.some(({ at }) => at <= change.trueAt && at >= change.trueAt - TRANSACTION_MS)
  return due !== undefined && !isMoved && aftersOf(next).every((afterMs) => deadline - afterMs < due - 1)
}

/** The trigger pauses in the same statement where the declared condition holds already. */
function isPausedAtOnce(next: RuleFacts, row: Row): boolean {
  return next.starts === 'trigger' && isHeld(next, row) && aftersOf(next).includes(keptOf(next, row) ?? 0)
}
