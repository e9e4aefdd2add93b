// Which states of a row a call may have seen: the ledger has every state, and a call saw one that stood at some moment between its invocation and its
// answer.

import type { Change, Row, Wish } from '../history.js'
import { type Order, SLACK_MS } from './orders.js'
import { isRead } from './wish-fits.js'

/**
 * A statement may have been carried out so long before its transaction committed: until then others saw the row as it was. A settling transaction
 * waits for a worker that is frozen in the middle of it, and then for its link.
 */
const COMMIT_MS = 15_000

/** What may have been seen from `fromMs` to `toMs`: rows, or null where there was none. */
export function statesWithin(order: Pick<Order, 'changes' | 'wishes'>, fromMs: number, toMs: number): (Row | null)[] {
  const { changes } = order
  const states: (Row | null)[] = []
  for (let index = -1; index < changes.length; index += 1) {
    const beganAt = index < 0 ? Number.NEGATIVE_INFINITY : (changes[index] as Change).trueAt
    if (beganAt > toMs + SLACK_MS || endOf(order, index) < fromMs - SLACK_MS) continue
    states.push(index < 0 ? (changes[0]?.from ?? null) : (changes[index] as Change).to)
  }
  return states
}

/**
 * The next change ends a state, but others see that only once it has committed: before the shop was told so, and before the change after it, which had
 * to wait for its lock.
 */
function endOf({ changes, wishes }: Pick<Order, 'changes' | 'wishes'>, index: number): number {
  const next = changes[index + 1]
  if (!next) return Number.POSITIVE_INFINITY
  const afterNext = changes.slice(index + 2).find(({ txid }) => txid !== next.txid)
  return Math.min(next.trueAt + COMMIT_MS, afterNext?.trueAt ?? Number.POSITIVE_INFINITY, toldAt(next, wishes))
}

/** When the process that made the change was told so at the latest: infinite where nobody may have been told. */
function toldAt({ by, trueAt }: Change, wishes: readonly Wish[]): number {
  const own = wishes.filter(
    (wish) =>
      wish.process === by &&
      wish.answer !== 'refused' &&
      !isRead(wish) &&
      wish.invokedAt <= trueAt + SLACK_MS &&
      (wish.answer === 'unknown' || wish.completedAt >= trueAt - SLACK_MS),
  )
  const isKnown = own.length > 0 && own.every(({ answer }) => answer === 'ok')
  return isKnown ? Math.max(...own.map(({ completedAt }) => completedAt)) : Number.POSITIVE_INFINITY
}
