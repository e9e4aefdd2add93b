// Whether an acknowledged wish would have changed nothing of the row as it was. The ledger has no line where a statement writes what is there already.

import type { Row, RuleFacts, Wish } from '../history.js'
import { mayHaveShown } from './clock.js'
import { aftersOf, applies, deadlineOf, extendedOf, isSame, keptOf, STATUS } from './rule-facts.js'
import type { Run } from './run.js'
import { isAsAnswered, isOwnWrite, isPausedAtOnce, isRead } from './wish-fits.js'

export function isIdle(rule: RuleFacts | undefined, wish: Wish, row: Row | null, run: Pick<Run, 'clockMoves'>): boolean {
  if (wish.call === 'retry' || isRead(wish)) return true // dead letters are in Redis
  // One UPDATE of many orders is acknowledged as a whole: one that was elsewhere was not written.
  if (isOwnWrite(wish)) return wish.asked.from !== undefined && String(row?.[STATUS]) !== String(wish.asked.from)
  if (!rule) return false
  if (rule.deadline === 'redis') return true
  if (!row || !applies(rule, row) || !isAsAnswered(rule, wish, row)) return false
  if ('since' in rule.deadline) return true // nothing is written to the row
  const deadline = deadlineOf(rule, row)
  if (wish.call === 'cancel') return deadline === undefined && keptOf(rule, row) === undefined
  if (wish.call === 'pause') return keptOf(rule, row) !== undefined
  if (wish.call === 'resume') return deadline !== undefined
  return wish.call === 'schedule' && isThere(rule, wish, row, run)
}

/** Whether the row has exactly what `schedule` would write. With `after`, that is so by chance, to the millisecond. */
function isThere(rule: RuleFacts, wish: Wish, row: Row, run: Pick<Run, 'clockMoves'>): boolean {
  const { asked, invokedAt, completedAt } = wish
  const isShown = (reading: number) => mayHaveShown(run, reading, invokedAt, completedAt)
  const deadline = deadlineOf(rule, row)
  if (extendedOf(rule, row) !== 0) return false
  if (deadline === undefined) return isPausedAtOnce(rule, wish, row, isShown)
  if (keptOf(rule, row) !== undefined) return false
  if (typeof asked.at === 'number') return isSame(deadline, asked.at)
  const afters = typeof asked.after === 'number' ? [asked.after] : aftersOf(rule)
  return afters.some((afterMs) => isShown(deadline - afterMs))
}
