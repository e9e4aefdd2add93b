// How long it took after the last fault was healed until everything that was due by then had been settled.

import type { Change } from '../history.js'
import { allowedMs } from './allowance.js'
import { anomaly } from './invariant.js'
import type { Case, Settlement } from './orders.js'
import { applies, deadlineOf, isHeld } from './rule-facts.js'
import type { Anomaly, Run } from './run.js'

export interface Recovery {
  recoveredMs: number
  anomalies: Anomaly[]
}

/** @returns the time until the last order was settled that was due when the last fault was healed, and those that took longer than is allowed */
export function recoveryOf({ orders, run }: Case): Recovery {
  let recoveredMs = 0
  const anomalies: Anomaly[] = []
  for (const order of orders) {
    for (const settlement of order.settlements) {
      const tookMs = afterHealing(run, settlement, order.changes)
      if (tookMs === undefined || isExcused(run, settlement, order.id)) continue
      recoveredMs = Math.max(recoveredMs, tookMs)
      if (tookMs <= allowedMs(run)) continue
      const message = `${settlement.rule.kind} settled it ${Math.round(tookMs)} ms after the last fault was healed and it was due`
      const evidence = { change: settlement.change, healedAt: run.healedAt, allowedMs: allowedMs(run) }
      anomalies.push(anomaly('recovery', order.feature, order.name, { message, evidence }))
    }
  }
  return { recoveredMs: Math.round(recoveredMs), anomalies }
}

/** From when an order could be settled, at the earliest when the last fault was healed; undefined where it was settled before. */
function afterHealing({ healedAt }: Run, settlement: Settlement, changes: readonly Change[]): number | undefined {
  const { change, deadline } = settlement
  if (change.trueAt < healedAt || deadline === undefined) return undefined
  const dueAt = deadline + (change.trueAt - change.at)
  return change.trueAt - Math.max(healedAt, dueAt, freeFrom(settlement, changes))
}

/** When the last write came without which the order could not be settled: before it, `where` or a pause held it, or it was deleted. */
function freeFrom({ rule, change, deadline }: Settlement, changes: readonly Change[]): number {
  const before = changes.slice(0, changes.indexOf(change)).reverse()
  const isFree = (row: Change['from']) => applies(rule, row) && !isHeld(rule, row) && deadlineOf(rule, row) === deadline
  return before.find(({ from }) => !isFree(from))?.trueAt ?? 0
}

/** Orders wait longer by design where their own work failed, and where a brake stopped their rule. */
function isExcused({ told }: Run, { rule, change }: Settlement, id: string): boolean {
  if (rule.brake) return true
  return told.some(
    ({ event, kind, details, at }) => event === 'failed' && kind === rule.kind && String(details?.id) === id && at <= change.trueAt,
  )
}
