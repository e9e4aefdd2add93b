// What switching a rule on would mean, before it is switched on: how many orders would be settled at once, how many are held back, and how
// many come due in each hour of the next days. Looks only.

import type { BoundRule, RuleForm } from '../rules/rule.js'
import type { Runtime } from '../runtime.js'
import { type Census, takeCensus } from './census.js'

export interface RulePlan {
  kind: string
  form: RuleForm
  /** None where the deadlines are in Redis alone. `overdue` is what would be settled at once. */
  census: Census | undefined
  /** What is to be known beside the figures. */
  notes: string[]
}

export interface PlanOptions {
  /** How many days ahead. Default: 3. */
  days?: number
}

/**
 * What each rule would do, by what its orders' rows say now. Orders that `backfill` will give a deadline are counted under it.
 * @throws what Postgres or Sequelize throws
 */
export async function plan(runtime: Runtime, { days = 3 }: PlanOptions = {}): Promise<RulePlan[]> {
  const plans: RulePlan[] = []
  for (const rule of runtime.rules()) plans.push(await planRule(rule, days))
  return plans
}

async function planRule(rule: BoundRule, days: number): Promise<RulePlan> {
  const { kind, form, row } = rule
  if (!row?.pending) return { kind, form, census: undefined, notes: ['its deadlines are in Redis alone, so no row says what is due'] }
  const census = await takeCensus(row, { days, asBackfilled: true })
  return { kind, form, census, notes: notesOn(rule, census) }
}

function notesOn({ row }: BoundRule, { overdue, undated }: Census): string[] {
  const { dryRun, brake, backfill, after } = row?.options ?? {}
  const notes: string[] = []
  if (dryRun) notes.push('dryRun: it settles nothing as yet')
  if (brake && overdue > brake.max) notes.push(`brake: it stops after ${brake.max} orders, until it is released`)
  if (backfill && typeof after === 'function')
    notes.push('backfill: orders without a deadline get what "after" says of each, which is not reckoned here')
  else if (backfill) notes.push('backfill: orders without a deadline are counted under the one that they will get')
  else if (undated > 0) notes.push('orders without a deadline are never settled; "backfill" would give them one')
  return notes
}
