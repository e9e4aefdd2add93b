// A reminder: a rule of its own that is due some time before its rule, changes no order, and calls its function after the commit. The same
// transaction inserts its history row, which is unique for each deadline, so the function is called at most once. A reminder that is late by more
// than `staleAfter` is dropped.

import { type GuardOptions, RowGuard } from '../rows/guard.js'
import type { History } from '../rows/history.js'
import type { Holds } from '../rows/holds.js'
import type { OrderTable } from '../rows/order-table.js'
import { PendingRows } from '../rows/pending-rows.js'
import type { RowOptions } from '../rows/row-options.js'
import type { ReminderRows, SettledRows } from '../rows/row-rule.js'
import { SettlementTransaction } from '../rows/settlement-transaction.js'
import { rowChecks } from './row-checks.js'
import type { ReminderRule } from './rule.js'

const BATCH = 100

/** The kind of a reminder, and so the prefix of its keys. */
export function reminderKind(kind: string, label: string): string {
  return `${kind}.reminder-${label}`
}

export function reminderRule(
  ofRule: { options: RowOptions; table: OrderTable; guard: GuardOptions; history: History; holds: Holds },
  { label, beforeMs, staleAfterMs, run }: RowOptions['reminders'][number],
): ReminderRule {
  const { table, history, holds } = ofRule
  const kind = reminderKind(ofRule.options.kind, label)
  const options: RowOptions = { ...ofRule.options, kind, run: undefined, afterCommit: run, reminders: [] }
  const deadline = ofRule.guard.deadline as NonNullable<GuardOptions['deadline']>
  const ownDeadline = new RowGuard(table, ofRule.guard).finiteDeadlineSql
  const guard = new RowGuard(table, {
    ...ofRule.guard,
    deadline: { ...deadline, plusMs: deadline.plusMs - beforeMs },
    staleAfterMs,
    unverifiedSince: undefined,
    unless: history.reminded(label, ownDeadline),
  })
  const rows: SettledRows & Pick<ReminderRows, 'deadline'> = {
    options,
    guard,
    deadline: { in: 'reminder', pending: new PendingRows(guard) },
    afterCommit: run,
    holds,
  }
  const settlement = new SettlementTransaction({
    row: rows,
    takesInstances: true,
    record: (source) => history.insertReminded(source, label, beforeMs),
  })
  return {
    kind,
    beforeMs,
    reminder: { of: ofRule.options.kind, label },
    description: undefined,
    parseId: table.parseId,
    runsOwnCode: true,
    batchSize: BATCH,
    timeoutMs: options.timeoutMs,
    attempts: options.attempts,
    row: { ...rows, ...rowChecks(rows, settlement) },
    reminders: [],
    settle: (ids, work) => settlement.settle(ids, work),
  }
}
