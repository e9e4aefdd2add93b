// What settling one rule means for the rules with `auto` on the same table. If the order enters their `from`, the settling UPDATE also starts
// their timers; if it leaves, the UPDATE ends them. The runtime links each rule when it is bound.

import type { Cascade, Move, RowRule } from '../rows/row-rule.js'
import { invalidRule } from '../rules/option-checks.js'
import type { HookingRule, ShopRule } from '../rules/rule.js'
import { isSameDatabase } from '../sequelize/same-database.js'
import { quoteColumn, textSql } from '../sequelize/sql.js'
import { AutoRule } from './rule.js'

/** The order's status before it was settled, as text; see settlement-sql.ts. */
const WAS = 'order_timers_due.order_timers_from'

/** @param autoRules the rules with `auto` that are bound so far; call again when there are more */
export function linkCascade({ row }: ShopRule, autoRules: readonly HookingRule[]): void {
  row?.link(cascadeOf(row, autoRules))
}

function cascadeOf(settled: RowRule, autoRules: readonly HookingRule[]): Cascade | undefined {
  const cascade: Cascade = { assignments: [], startedTimers: [] }
  // What the settled rule's own `set` writes is not overwritten.
  const taken = new Set(Object.keys(settled.set).map((name) => settled.guard.table.attribute('"set"', name).field))
  for (const { rule, starts, ends } of followers(settled, autoRules)) {
    if (!starts && !ends) continue
    const { model } = settled.guard.table
    const move = settled.move as Move
    const written = starts ? rule.updating({ [rule.status.field]: move.to }, rule.fresh) : rule.leaving()
    for (const [field, sql] of Object.entries(written)) {
      if (taken.has(field)) continue
      taken.add(field)
      cascade.assignments.push(`${quoteColumn(model, field)} = ${sql}`)
    }
    if (!starts) continue
    const deadline = rule.row.guard.deadlineUnder(settled.guard.table.alias)
    const was = rule.row.guard.from.map((status) => textSql(model, String(status))).join(', ')
    cascade.startedTimers.push({
      kind: rule.rule.kind,
      deadline: ends ? `CASE WHEN ${WAS} IN (${was}) THEN NULL ELSE ${deadline} END` : deadline,
    })
  }
  return cascade.assignments.length + cascade.startedTimers.length > 0 ? cascade : undefined
}

/** @throws OrderTimersError INVALID_OPTION if settling this rule would start a timer whose `after` is a function: there is no instance to call it with */
export function refuseUnknownAfter({ row }: ShopRule, autoRules: readonly HookingRule[]): void {
  if (!row) return
  const unknown = followers(row, autoRules).find(({ rule, starts }) => starts && rule.afterOf)
  if (!unknown) return
  const { kind } = row.options
  const why = `moves orders into "from" of the rule "${unknown.rule.rule.kind}", whose "after" is a function of the order`
  throw invalidRule(kind, `it ${why}; give it individualHooks: true, so that each order is there to be asked`)
}

/** The other rules with `auto` on the same table, and what the move does to them. With `individualHooks` the instances' own hooks do it. */
function followers(settled: RowRule, autoRules: readonly HookingRule[]): { rule: AutoRule; starts: boolean; ends: boolean }[] {
  const { move, guard, options } = settled
  if (!move || move.individualHooks) return []
  return autoRules.flatMap((bound) => {
    const { row, kind } = bound
    if (kind === options.kind) return []
    // Several models may have the table, of several Sequelize instances, with attribute names of their own.
    if (row.guard.table.table !== guard.table.table || !isSameDatabase(row.guard.table.sequelize, guard.table.sequelize)) return []
    const rule = new AutoRule(bound, undefined)
    if (rule.status.field !== guard.table.attribute('"status"', move.status).field) return []
    return [{ rule, starts: rule.isFrom(move.to), ends: move.from.some((status) => rule.isFrom(status)) }]
  })
}
