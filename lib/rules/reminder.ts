// A reminder: a rule of its own that is due so long before its rule, and tells instead of settling. Its history row is committed before it
// tells, so that it comes once at most for each deadline; one that is late is dropped.

import type { Model } from 'sequelize'
import { inTransaction, rows } from './database.js'
import { DeadlineWrites } from './deadline-writes.js'
import { type History, idempotencyKey } from './history.js'
import type { OrderTable } from './order-table.js'
import { PendingRows } from './pending-rows.js'
import { type GuardOptions, RowGuard } from './row-guard.js'
import type { RowOptions } from './row-options.js'
import type { ReminderRule } from './rule.js'
import type { Settlement, SettleWork } from './settlement.js'

const BATCH = 100

interface DueRow {
  order_timers_id: string | number
  order_timers_deadline_ms: number
  remind_at_ms: number
  order_timers_remaining_ms: number | null
  [column: string]: unknown
}

/** What a reminder's keys are called, beside its rule's. */
export function reminderKind(kind: string, label: string): string {
  return `${kind}.reminder-${label}`
}

export function reminderRule(
  options: RowOptions,
  reminder: RowOptions['reminders'][number],
  table: OrderTable,
  ofRule: GuardOptions,
  history: History,
): ReminderRule {
  const { label, beforeMs, run } = reminder
  const kind = reminderKind(options.kind, label)
  const source = ofRule.deadline as NonNullable<GuardOptions['deadline']>
  const main = new RowGuard(table, ofRule)
  const guard = new RowGuard(table, {
    ...ofRule,
    deadline: { ...source, plusMs: source.plusMs - beforeMs },
    staleAfterMs: reminder.staleAfterMs,
    unless: () => history.reminded(label, main.deadline),
  })
  const { id, alias, aliased } = table
  const remind = `WITH due AS (
  SELECT ${alias}.*, ${id} AS order_timers_id, ${main.deadline} AS order_timers_deadline, ${RowGuard.epochMs(main.deadline)} AS order_timers_deadline_ms,
    ${RowGuard.epochMs(guard.deadline)} AS remind_at_ms
  FROM ${aliased} WHERE ${id} = ANY($1) AND ${guard.settles} AND ${main.deadlineIs('>', 'now()')}
), told AS (${history.insertReminded(label, 'due')})
SELECT due.* FROM due JOIN told ON told.order_id = due.order_timers_id::text`
  const early = `SELECT ${id} AS order_timers_id, ceil(extract(epoch from ${guard.deadline} - now()) * 1000)::float8 AS order_timers_remaining_ms
FROM ${aliased} WHERE ${id} = ANY($1) AND ${guard.applies}${guard.paranoid} AND ${guard.deadlineIs('>', 'now()')}`
  const limits = { lockMs: 300, statementMs: options.timeoutMs, idleMs: options.timeoutMs + 5_000 }

  async function settle(ids: string[], work: SettleWork): Promise<Settlement> {
    const { due, later } = await inTransaction(table.sequelize, limits, async (transaction) => {
      const due = await rows<DueRow>(table.sequelize, remind, [ids, work.via, work.worker], transaction)
      const rest = without(ids, due)
      return { due, later: rest.length > 0 ? await rows<DueRow>(table.sequelize, early, [rest], transaction) : [] }
    })
    const settlement: Settlement = {
      settled: due.map((row) => ({ id: String(row.order_timers_id), deadline: row.remind_at_ms, latenessMs: null })),
      early: later.map((row) => ({ id: String(row.order_timers_id), remainingMs: row.order_timers_remaining_ms as number })),
      locked: [],
      gone: without(ids, [...due, ...later]),
      held: [],
    }
    if (due.length > 0)
      settlement.failure = await tell(
        due.map((row) => table.instance(row)),
        due,
        work,
      )
    return settlement
  }

  /** Committed already, so whatever comes of it is not tried again. */
  async function tell(orders: Model[], due: DueRow[], work: SettleWork): Promise<Settlement['failure']> {
    const idempotencyKeys = due.map((row) => idempotencyKey(kind, String(row.order_timers_id), row.order_timers_deadline_ms))
    try {
      work.inRule = true
      await run(orders, { idempotencyKeys, signal: work.signal })
      return undefined
    } catch (error) {
      return { ids: due.map((row) => String(row.order_timers_id)), error }
    } finally {
      work.inRule = false
    }
  }

  return {
    kind,
    beforeMs,
    reminder: { of: options.kind, label },
    form: options.form,
    description: undefined,
    parseId: table.parseId,
    runsOwnCode: true,
    batchSize: BATCH,
    timeoutMs: options.timeoutMs,
    afterMs: undefined,
    attempts: options.attempts,
    row: {
      options: { ...options, kind, reminders: [], backfill: undefined, brake: undefined, afterCommit: undefined },
      guard,
      writes: new DeadlineWrites(kind, guard, options),
      pending: new PendingRows(guard),
      ...{
        since: undefined,
        deadlineAttribute: undefined,
        move: undefined,
        upkeep: undefined,
        brake: undefined,
        history,
        afterCommit: undefined,
      },
      reminders: [],
      check: async () => {},
      find: async () => null,
      afterOf: undefined,
    },
    settle,
  }
}

function without(ids: string[], rows: DueRow[]): string[] {
  const found = new Set(rows.map((row) => String(row.order_timers_id)))
  return ids.filter((id) => !found.has(id))
}
