// What a worker may do to a row beside settling it: give it a deadline that it lacks (`backfill`), pause and resume it by declaration, and clear what
// an order took with it when it left.

import type { Change, Row, RuleFacts } from '../history.js'
import { isWorker } from './orders.js'
import { aftersOf, applies, countsFrom, deadlineColumn, deadlineOf, isHeld, isSame, keptOf, NO_TIMER_AT } from './rule-facts.js'
import { changedColumns } from './wish-fits.js'

export type WorkerCause = 'backfill' | 'declared pause' | 'declared resume' | 'cleared'

/** A statement of the sweep reads the clock when its transaction begins; a frozen server may keep it so long. */
const SWEEP_MS = 30_000

/** @returns undefined where nothing that a sweep does explains the change */
export function workerCause(rules: readonly RuleFacts[], change: Change): WorkerCause | undefined {
  const { from, to, by, at } = change
  if (!from || !to || !isWorker(by)) return undefined
  for (const rule of rules) {
    const own = [deadlineColumn(rule), rule.pause?.keep]
    if (!changedColumns(from, to).every((column) => own.includes(column))) continue
    const cause = causeOf(rule, from, to, at)
    if (cause) return cause
  }
  return undefined
}

function causeOf(rule: RuleFacts, from: Row, to: Row, at: number): WorkerCause | undefined {
  const column = deadlineColumn(rule)
  if (column === undefined) return undefined
  if (!applies(rule, from)) return isCleared(rule, column, from, to, at) ? 'cleared' : undefined
  const after = deadlineOf(rule, to)
  if (rule.backfill && from[column] === undefined && keptOf(rule, from) === undefined) {
    return after !== undefined && isBackfilled(rule, from, after, at) ? 'backfill' : undefined
  }
  return declaredCause(rule, from, to, at)
}

/** A pause by declaration, and its end: no time is lost or gained. The trigger does it in the statement that changes the condition, the sweep afterwards. */
export function declaredCause(rule: RuleFacts, from: Row, to: Row, at: number): 'declared pause' | 'declared resume' | undefined {
  if (!rule.pause?.while || !applies(rule, from) || !applies(rule, to)) return undefined
  const [before, after] = [deadlineOf(rule, from), deadlineOf(rule, to)]
  const [keptBefore, keptAfter] = [keptOf(rule, from), keptOf(rule, to)]
  if (isHeld(rule, to)) {
    const left = before !== undefined && keptAfter !== undefined && after === undefined ? Math.max(0, before - at) : undefined
    return left !== undefined && isWithin(keptAfter! - left) ? 'declared pause' : undefined
  }
  const resumedAt = before === undefined && keptBefore !== undefined && after !== undefined ? after - keptBefore : undefined
  return resumedAt !== undefined && keptAfter === undefined && isWithin(at - resumedAt) ? 'declared resume' : undefined
}

function isBackfilled(rule: RuleFacts, from: Row, deadline: number, at: number): boolean {
  const since = rule.backfill?.since === undefined ? undefined : from[rule.backfill.since]
  if (since === undefined) return countsFrom(rule, deadline, at, SWEEP_MS)
  return aftersOf(rule).some((afterMs) => isSame(deadline, Math.floor(Number(since)) + afterMs))
}

/** An order that is not where the rule applies keeps no deadline that has passed, no mark for "no timer", and no time that a pause kept. */
function isCleared(rule: RuleFacts, column: string, from: Row, to: Row, at: number): boolean {
  const was = from[column]
  if (to[column] !== undefined || keptOf(rule, to) !== undefined) return false
  return was === undefined ? keptOf(rule, from) !== undefined : Number(was) <= at || Number(was) >= NO_TIMER_AT
}

function isWithin(ms: number): boolean {
  return ms >= -2 && ms <= SWEEP_MS
}
