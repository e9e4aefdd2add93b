// What a rule says of a row, computed from the rule's plain facts alone: nothing of the package is asked.

import type { Change, Row, RuleFacts } from '../history.js'

/** What stands in a deadline's column for "no timer" under `backfill`: the year 9999. */
export const NO_TIMER_AT = Date.UTC(9999, 11, 31)

export const STATUS = 'status'
export const DELETED_AT = 'deletedAt'
/** A row that is gone, or not there yet. */
export type MaybeRow = Row | null | undefined

/** Whether the rule applies to the row: in `from`, or its `where` holds, and not deleted. */
export function applies(rule: RuleFacts, row: MaybeRow): boolean {
  if (!row || row[DELETED_AT] !== undefined) return false
  if (rule.from && !rule.from.includes(String(row[STATUS]))) return false
  return holds(rule.where, row)
}

export function holds(where: Record<string, string | boolean> | undefined, row: Row): boolean {
  return Object.entries(where ?? {}).every(([column, value]) => String(row[column]) === String(value))
}

/** The deadline on the row, milliseconds since 1970 with fractions; undefined where there is none, or only Redis has it. */
export function deadlineOf(rule: RuleFacts, row: MaybeRow): number | undefined {
  if (!row || rule.deadline === 'redis') return undefined
  if ('since' in rule.deadline) {
    const since = row[rule.deadline.since]
    return since === undefined ? undefined : Number(since) + rule.afterMs
  }
  const deadline = row[rule.deadline.column]
  return deadline === undefined || Number(deadline) >= NO_TIMER_AT ? undefined : Number(deadline)
}

/** From a start to a deadline: more than one where a deployment of another `after` ran for a while. */
export function aftersOf({ afterMs, afters }: RuleFacts): readonly number[] {
  return [afterMs, ...(afters ?? [])]
}

/** Whether a deadline counts from an instant that was at most so much earlier than this one, and no later but for rounding. */
export function countsFrom(rule: RuleFacts, deadline: number, at: number, withinMs: number): boolean {
  return aftersOf(rule).some((afterMs) => at - (deadline - afterMs) >= -2 && at - (deadline - afterMs) <= withinMs)
}

/** The column that the rule writes its deadlines to. */
export function deadlineColumn(rule: RuleFacts): string | undefined {
  return rule.deadline !== 'redis' && 'column' in rule.deadline ? rule.deadline.column : undefined
}

/** The milliseconds that a pause has kept. */
export function keptOf(rule: RuleFacts, row: MaybeRow): number | undefined {
  const kept = rule.pause && row?.[rule.pause.keep]
  return kept === undefined ? undefined : Number(kept)
}

/** How often, or by how much, the row was extended. */
export function extendedOf(rule: RuleFacts, row: MaybeRow): number {
  return Number((rule.extensions && row?.[rule.extensions.column]) ?? 0)
}

/** The condition under which the timer is paused holds on the row. */
export function isHeld(rule: RuleFacts, row: MaybeRow): boolean {
  return rule.pause?.while !== undefined && row != null && holds(rule.pause.while, row)
}

/** Whether the change brings the order to where the rule applies. */
export function enters(rule: RuleFacts, { from, to }: Pick<Change, 'from' | 'to'>): boolean {
  return !applies(rule, from) && applies(rule, to)
}

/** Whether the change takes the order out of where the rule applies. */
export function leaves(rule: RuleFacts, { from, to }: Pick<Change, 'from' | 'to'>): boolean {
  return applies(rule, from) && !applies(rule, to)
}

/** The columns that the rule keeps its timer in. */
export function ownColumns(rule: RuleFacts): string[] {
  return [deadlineColumn(rule), rule.pause?.keep, rule.extensions?.column].filter((column) => column !== undefined)
}

/** A pending timer on the row. */
export function isPending(rule: RuleFacts, row: MaybeRow): boolean {
  return applies(rule, row) && deadlineOf(rule, row) !== undefined
}

/** The deadline as the package says it: whole milliseconds, never before it. */
export function wholeMs(instant: number): number {
  return Math.ceil(instant - 0.0005)
}

/** Two instants that were the same before one of them was rounded. */
export function isSame(one: number | null | undefined, other: number | null | undefined): boolean {
  if (one == null || other == null) return (one ?? null) === (other ?? null)
  return Math.abs(one - other) <= 1
}
