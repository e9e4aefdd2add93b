// Which states of a row a call may have seen: the ledger has every state, and a call saw one that stood at some moment between its invocation and its
// answer.

import type { Change, Row } from '../history.js'
import { SLACK_MS } from './orders.js'

/** A statement may have been carried out so long before its transaction committed: until then others saw the row as it was. */
const COMMIT_MS = 5_000

/** What may have been seen from `fromMs` to `toMs`: rows, or null where there was none. */
export function statesWithin(changes: readonly Change[], fromMs: number, toMs: number): (Row | null)[] {
  const states: (Row | null)[] = []
  for (let index = -1; index < changes.length; index += 1) {
    const beganAt = index < 0 ? Number.NEGATIVE_INFINITY : (changes[index] as Change).trueAt
    if (beganAt > toMs + SLACK_MS || endOf(changes, index) < fromMs - SLACK_MS) continue
    states.push(index < 0 ? (changes[0]?.from ?? null) : (changes[index] as Change).to)
  }
  return states
}

/** The next change ends a state, but others see that only once it has committed: before the change after it, which had to wait for its lock. */
function endOf(changes: readonly Change[], index: number): number {
  const next = changes[index + 1]
  if (!next) return Number.POSITIVE_INFINITY
  const afterNext = changes.slice(index + 2).find(({ txid }) => txid !== next.txid)
  return Math.min(next.trueAt + COMMIT_MS, afterNext?.trueAt ?? Number.POSITIVE_INFINITY)
}
