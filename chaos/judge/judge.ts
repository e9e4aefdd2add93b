// The judge of a run: reads what the shops asked for, what the ledger says happened and what the rules' code did, and says what of it must not be.

import { countFeatures, countSometimes } from './coverage.js'
import { anomaly } from './invariant.js'
import { INVARIANTS } from './invariants.js'
import { type Case, caseOf } from './orders.js'
import { recoveryOf } from './recovery.js'
import type { Anomaly, Run, Verdict } from './run.js'

/** Anomalies of one invariant, with their evidence. */
const MOST_SHOWN = 100

export function judge(run: Run): Verdict {
  const found = caseOf(run)
  const recovery = recoveryOf(found)
  const features = countFeatures(found)
  const sometimes = countSometimes(found)
  const settled = found.orders.flatMap(({ settlements }) => settlements)
  return {
    anomalies: [...INVARIANTS.map((invariant) => invariant.judge(found)), recovery.anomalies].flatMap(firstOf),
    features,
    sometimes,
    timers: countTimers(found),
    settled: settled.length,
    wishes: run.wishes.length,
    unknown: run.wishes.filter(({ answer }) => answer === 'unknown').length,
    recoveredMs: recovery.recoveredMs,
    slowdown: run.slowdown,
    latenessMs: quantiles(settled.flatMap(({ change, deadline }) => (deadline === undefined ? [] : [change.at - deadline]))),
  }
}

/** What a run has not tried, as anomalies: a run that is long enough tries everything. */
export function untried({ features, sometimes }: Verdict): Anomaly[] {
  const missing = Object.entries(features).flatMap(([feature, count]) =>
    count > 0 ? [] : [anomaly('coverage', feature as keyof typeof features, '', { message: `no order tried "${feature}"`, evidence: {} })],
  )
  const never = Object.entries(sometimes).flatMap(([moment, count]) =>
    count > 0 ? [] : [anomaly('coverage', 'since', '', { message: `it never happened that ${moment}`, evidence: {} })],
  )
  return [...missing, ...never]
}

/** Where something is broken thoroughly, thousands of orders say so. */
function firstOf(ofOneInvariant: readonly Anomaly[]): Anomaly[] {
  const left = ofOneInvariant.length - MOST_SHOWN
  const last = ofOneInvariant[MOST_SHOWN]
  if (!last) return [...ofOneInvariant]
  return [...ofOneInvariant.slice(0, MOST_SHOWN), { ...last, order: '', message: `and ${left} more`, evidence: {} }]
}

/** Deadlines that began: an order came to where a rule applies with one, or was given one. */
function countTimers({ orders }: Case): number {
  return orders.reduce((sum, order) => sum + Math.max(1, order.settlements.length), 0)
}

function quantiles(values: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 10) / 10
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}
