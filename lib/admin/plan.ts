// `order-timers plan`: what would happen if a rule were switched on: how many orders would be settled at once, how many held back, and how
// many come due in each hour of the next days. Reads only.

import { columnOf } from '../rows/row-options.js'
import type { RuleForm } from '../rules/form.js'
import type { ShopRule } from '../rules/rule.js'
import type { Runtime } from '../timers/runtime.js'
import { keptFailures } from './kept-failures.js'
import { type CountOptions, countOrders, type OrderCounts } from './order-counts.js'
import { boundRule, lookInWords, type Problem, problemOf } from './problem.js'

export interface RulePlan {
  kind: string
  form: RuleForm | undefined
  /**
   * How many orders are in which state; `overdue` is what the first sweep would settle. Undefined if the deadlines are only in Redis, or the
   * rows could not be read (see `problem`).
   */
  census: OrderCounts | undefined
  /** Dead letters; undefined if Redis does not answer or is not used. */
  dead: number | undefined
  /** Notes about the figures. */
  notes: string[]
  /** What is wrong with the rule, or why it could not be read, with the remedy. */
  problem: string | undefined
  /** Whether the problem is that Postgres does not answer. */
  unreachable: boolean
}

export interface PlanOptions {
  /** How many days ahead. Default: 3. */
  days?: number
}

/**
 * What each rule would do, from its orders' rows. Each rule is read separately. Orders that `backfill` will give a deadline count
 * under that deadline. Never rejects: what could not be read is a `problem` in the answer.
 */
export async function plan(runtime: Runtime, { days = 3 }: PlanOptions = {}): Promise<RulePlan[]> {
  const plans: RulePlan[] = []
  for (const kind of runtime.kinds) plans.push(await planRule(runtime, kind, { days, asBackfilled: true }))
  return plans
}

/** The same for one rule. Never rejects. */
export async function planRule(runtime: Runtime, kind: string, options: Pick<CountOptions, 'days' | 'asBackfilled'>): Promise<RulePlan> {
  const nothing = { kind, form: runtime.form(kind), census: undefined, dead: undefined, notes: [] }
  const withProblem = ({ message, unreachable }: Problem): RulePlan => ({ ...nothing, problem: message, unreachable })
  const { rule, problem: unbound } = boundRule(runtime, kind)
  if (!rule) return withProblem(unbound)
  const { failed, problem: silence } = await keptFailures(runtime, kind)
  const fine = { ...nothing, dead: failed?.dead.length, problem: undefined, unreachable: false }
  const unknown = silence === undefined ? [] : [`${silence}; orders that failed are counted as overdue, and dead letters are not known`]
  const { row } = rule
  const inRedisAlone = ['its deadlines are only in Redis, so no row says what is due', ...unknown]
  if (!row) return { ...fine, notes: inRedisAlone }
  try {
    const counts = row.deadline.in === 'redis' ? undefined : await countOrders(row, { ...options, failed })
    const { problem, notLookedAt } = await lookInWords(row)
    const notes = [...(counts ? [...notesOn(rule, counts), ...unknown] : inRedisAlone), ...(notLookedAt === undefined ? [] : [notLookedAt])]
    return { ...fine, census: counts, problem, notes }
  } catch (error) {
    return withProblem(await problemOf(rule, error))
  }
}

function notesOn({ row }: ShopRule, { overdue, undated }: OrderCounts): string[] {
  if (!row) return []
  const { dryRun, brake, verify } = row.options
  const { backfill, after } = columnOf(row.options) ?? {}
  const notes: string[] = []
  if (dryRun) notes.push('dryRun: it settles nothing')
  else if (verify) notes.push('verify: it asks about each order that is due, and settles it only if the answer is true')
  if (brake && overdue > brake.max) notes.push(`brake: it stops after ${brake.max} orders, until it is released`)
  if (backfill && typeof after === 'function')
    notes.push('backfill: orders without a deadline get what "after" says of each, which is not computed here')
  else if (backfill) notes.push('backfill: orders without a deadline are counted under the deadline that they will get')
  else if (undated > 0) notes.push('orders without a deadline are never settled; "backfill" would give them one')
  return notes
}
