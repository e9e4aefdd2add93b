// `order-timers history KIND`: what a rule did in the last minutes, from its history table, page by page. Reads only.

import { OrderTimersError } from '../errors.js'
import { type HistoryEntry, historyOfRule } from '../rows/history-reads.js'
import type { Runtime } from '../timers/runtime.js'

const PAGE = 10_000

/**
 * Settlements and reminders, newest first.
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION if the rule keeps no history; what Postgres throws
 */
export async function* historyPages(runtime: Runtime, kind: string, sinceMs: number): AsyncGenerator<HistoryEntry[]> {
  const { row } = runtime.rule(kind)
  if (!row?.history) {
    const remedy = 'give it history: true, and the table that `order-timers migration` prints'
    throw new OrderTimersError('INVALID_OPTION', `orderTimers: rule "${kind}" keeps no history; ${remedy}`)
  }
  const { table } = row.history
  for (let before: string | undefined; ; ) {
    const page = await historyOfRule(row.guard.table, { table, kind, sinceMs, before, limit: PAGE })
    yield page
    if (page.length < PAGE) return
    before = page.at(-1)?.entry
  }
}
