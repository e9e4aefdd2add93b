// Which calls are possible for which rule, and the errors of the others.

import { OrderTimersError, show } from '../errors.js'
import type { ColumnDeadline, RowRule, SinceDeadline } from '../rows/row-rule.js'
import type { ShopRule } from '../rules/rule.js'
import type { ScheduleOptions } from '../types.js'

/** @throws OrderTimersError NOT_ON_SINCE if the rule computes its deadlines, so that a call cannot change one */
export function refuseSince({ kind, row }: ShopRule, call: string): RowRule | undefined {
  if (row?.deadline.in !== 'since') return row
  const remedy = 'its deadline follows from the row; declare it with "deadline" for orders with a deadline of their own'
  const message = `orderTimers: ${kind}: ${call}() is not for a rule with "since" (${show(row.deadline.attribute)}); ${remedy}`
  throw new OrderTimersError('NOT_ON_SINCE', message)
}

/** @throws OrderTimersError NOT_ON_SINCE where `schedule` is given a deadline that the rule computes */
export function refuseGivenDeadline(kind: string, since: SinceDeadline, { after, at }: ScheduleOptions): void {
  if (after === undefined && at === undefined) return
  const given = after === undefined ? 'at' : 'after'
  const { attribute, afterMs } = since
  const remedy = `its deadline is "${attribute}" and ${afterMs} ms; declare the rule with "deadline" for orders with a deadline of their own`
  throw new OrderTimersError('NOT_ON_SINCE', `orderTimers: ${kind}: "${given}" cannot be given to a rule with "since"; ${remedy}`)
}

/** @throws OrderTimersError NOT_ON_SINCE, and NOT_PAUSABLE if the rule has no `pause`, or one that the row decides */
export function requirePausable(rule: ShopRule, call: 'pause' | 'resume'): { row: RowRule; deadline: ColumnDeadline } {
  const row = refuseSince(rule, call)
  const deadline = row?.deadline
  const pause = deadline?.in === 'column' ? deadline.pause : undefined
  if (row && deadline?.in === 'column' && pause && !pause.while) return { row, deadline }
  const why = pause ? 'its "pause.while" says by itself when it is paused; change what the row says' : 'it has no "pause"'
  const remedy = pause ? '' : `; declare the rule with "deadline" and pause: { keep: 'attribute' }`
  throw new OrderTimersError('NOT_PAUSABLE', `orderTimers: ${rule.kind}: ${call}() is not for this rule, since ${why}${remedy}`)
}

export function noTimer(kind: string, id: string, call: string): OrderTimersError {
  const message = `orderTimers: ${kind}: ${show(id)} has no timer to ${call}; it was settled already, or never scheduled`
  return new OrderTimersError('NO_TIMER', message)
}
