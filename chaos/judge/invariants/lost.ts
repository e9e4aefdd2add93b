// Nothing that is due is left unsettled, unless it is held for a reason that the package reports: paused, stale, stopped by the brake, a dead letter.

import type { RuleFacts } from '../../history.js'
import { allowedMs } from '../allowance.js'
import { productClock } from '../clock.js'
import { ofEachOrder } from '../invariant.js'
import type { Case, Order } from '../orders.js'
import { applies, deadlineOf, isHeld, keptOf } from '../rule-facts.js'
import { revives } from './dead.js'

export const lost = ofEachOrder(
  'lost',
  'At the end of a run no order is overdue, unless it is paused, stale, stopped by the brake, a dead letter, or under a rule that settles nothing.',
  function* (order, found) {
    const row = order.changes.at(-1)?.to
    for (const rule of order.rules) {
      const deadline = rule.dryRun ? undefined : deadlineOf(rule, row)
      if (deadline === undefined || !applies(rule, row) || isHeld(rule, row) || keptOf(rule, row) !== undefined) continue
      const overdueMs = productClock(found.run, found.run.endedAt) - deadline
      if (overdueMs <= allowedMs(found.run) || overdueMs > rule.staleAfterMs || isReported(order, rule, found)) continue
      yield {
        message: `${rule.kind} has not settled it, ${Math.round(overdueMs)} ms after its deadline`,
        evidence: { row, changes: order.changes },
      }
    }
  },
)

/** A dead letter that was put back is due again, until it is reported once more. */
function isReported({ id, wishes }: Order, rule: RuleFacts, { run }: Case): boolean {
  if (rule.brake && run.braked[rule.kind]) return true
  const putBackAt = Math.max(0, ...wishes.flatMap((wish) => (revives(rule.kind, wish) && wish.answer === 'ok' ? [wish.invokedAt] : [])))
  return run.told.some(
    ({ event, kind, details, at }) => event === 'dead' && kind === rule.kind && String(details?.id) === id && at >= putBackAt,
  )
}
