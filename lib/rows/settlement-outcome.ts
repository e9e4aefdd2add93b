// Interprets the results of the settling statements: what was settled, and why the rest was not.

import type { Model } from 'sequelize'
import { idempotencyKey } from './history.js'
import type { Cascade } from './row-rule.js'
import type { PendingDelivery, Proofs, SettledOrder, Settlement, SettleWork, StartedTimer } from './settlement.js'
import { type SettledRow, startedColumn, type UnsettledRow } from './settlement-sql.js'

export type Unsettled = Pick<Settlement, 'early' | 'locked' | 'gone' | 'held'> & { undated: string[]; unproven: string[] }

export function idOf(row: SettledRow): string {
  return String(row.order_timers_id)
}

export function settledOrder(row: SettledRow): SettledOrder {
  return { id: idOf(row), deadline: row.order_timers_deadline_ms, latenessMs: null }
}

/** The `ids` that were not settled. */
export function without(ids: string[], settled: SettledRow[]): string[] {
  const done = new Set(settled.map(idOf))
  return ids.filter((id) => !done.has(id))
}

/** Why each of these was not settled. A row that is due, eligible and still not settled is locked by another transaction. */
export function classify(
  ids: string[],
  found: UnsettledRow[],
  { isInRedisAlone, proofs }: { isInRedisAlone: boolean; proofs: Proofs | undefined },
): Unsettled {
  const byId = new Map(found.map((row) => [String(row.id), row]))
  const answer: Unsettled = { early: [], locked: [], gone: [], held: [], undated: [], unproven: [] }
  for (const id of ids) {
    const row = byId.get(id)
    if (!row?.applies || (row.remaining_ms === null && !isInRedisAlone)) {
      answer.gone.push(id)
      if (row?.applies && !row.paused) answer.undated.push(id)
    } else if (row.remaining_ms !== null && row.remaining_ms > 0) answer.early.push({ id, remainingMs: row.remaining_ms })
    else if (!row.eligible || row.stale) answer.held.push(id)
    else if (proofs && proofs.get(id)?.xmin !== row.xmin) answer.unproven.push(id)
    else answer.locked.push(id)
  }
  return answer
}

/** Orders to which the rule no longer applies and whose deadline has passed. */
export function overdueElsewhere(found: UnsettledRow[]): string[] {
  return found.flatMap(({ id, applies, remaining_ms }) =>
    applies !== true && remaining_ms !== null && remaining_ms <= 0 ? [String(id)] : [],
  )
}

export function startedTimersOf(settled: SettledRow[], cascade: Cascade | undefined): StartedTimer[] {
  return (cascade?.startedTimers ?? []).flatMap(({ kind }, i) =>
    settled.flatMap((row) => {
      const deadlineMs = row[startedColumn(i)] as number | null
      return deadlineMs === null ? [] : [{ kind, id: idOf(row), deadlineMs }]
    }),
  )
}

export function pendingDelivery(kind: string, settled: SettledRow, order: Model, { deadlineOf }: SettleWork): PendingDelivery {
  const id = idOf(settled)
  const entry = settled.order_timers_entry ?? ''
  const deadline = settled.order_timers_deadline_ms ?? (entry || (deadlineOf(id) ?? Date.now()))
  return { id, order, entry, idempotencyKey: idempotencyKey(kind, id, deadline) }
}
