// Binds a transition or an effect to its model: checks the attributes that its options name, and builds the statements that the timers, the
// dispatcher and the sweep use. It knows no other rule.

import type { Model, Transaction, WhereOptions } from 'sequelize'
import { AfterOfOrder } from '../rows/after.js'
import { Brake } from '../rows/brake.js'
import type { Condition } from '../rows/conditions.js'
import { DeadlineWrites } from '../rows/deadline-writes.js'
import { type GuardOptions, RowGuard, type Status, type StatusApplies } from '../rows/guard.js'
import { History } from '../rows/history.js'
import { Holds } from '../rows/holds.js'
import { InstantsKnown } from '../rows/instants-known.js'
import { LeftDeadlines } from '../rows/left-deadlines.js'
import { Maintenance } from '../rows/maintenance.js'
import type { ModelSource } from '../rows/model-source.js'
import { OrderTable } from '../rows/order-table.js'
import { PORTION } from '../rows/own-work.js'
import { PendingRows } from '../rows/pending-rows.js'
import { columnOf, type DeclaredColumn, type DeclaredDeadline, type RowOptions } from '../rows/row-options.js'
import type { Move, RowRule, SettledRows } from '../rows/row-rule.js'
import { SettlementTransaction } from '../rows/settlement-transaction.js'
import { TimerStates } from '../rows/timer-state.js'
import { Unverified } from '../rows/unverified.js'
import { orderRows } from '../sequelize/database.js'
import { fingerprint } from './fingerprint.js'
import { reminderRule } from './reminder.js'
import { rowChecks } from './row-checks.js'
import type { BindOptions, DeclaredRule, OrderRule } from './rule.js'

const BATCH = 1_000
/** Instances cost far more than rows, and the shop's own code runs for each. */
const BATCH_OF_INSTANCES = PORTION

/** A thousand years: longer than any order is overdue, and still within Postgres's range. */
const NEVER_STALE_MS = 365_000 * 86_400_000

/** The assignments of a transition, or the condition of an effect. */
export type RuleAction =
  | { applies: StatusApplies; to: Status; set: Record<string, unknown>; individualHooks: boolean; auto: boolean }
  | { applies: { where: WhereOptions } }

/** The public names of the places where deadlines live. */
const FORMS = { column: 'deadline', since: 'since', redis: 'redis' } as const

export function declareRowRule(options: RowOptions, source: unknown, action: RuleAction): DeclaredRule {
  const { kind, deadline, description: _, ...values } = options
  return {
    kind,
    form: FORMS[deadline.in],
    fingerprint: fingerprint({ ...values, deadline, action }),
    deadline: deadline.in === 'column' ? { source, attribute: deadline.attribute } : undefined,
    auto: 'to' in action && action.auto ? { source } : undefined,
    bind: (how) => bind(options, source as ModelSource<Model>, action, how),
  }
}

function bind(
  options: RowOptions,
  source: ModelSource<Model>,
  action: RuleAction,
  { prefix = '', settlesStale = false }: BindOptions = {},
): OrderRule {
  const { kind, dryRun, timeoutMs } = options
  const table = OrderTable.of(kind, source)
  const column = columnOf(options)
  const holds = new Holds(prefix, kind, table)
  // A dry run never asks.
  const verification = options.verify && !dryRun ? { ...options.verify, unverified: new Unverified(kind, table, holds) } : undefined
  const guardOptions = { ...guardOptionsOf(options, action, settlesStale), unverifiedSince: verification?.unverified.sinceSql }
  const guard = new RowGuard(table, guardOptions)
  if (column) checkAttributes(table, column)
  const move = moveOf(table, action)
  const history = options.history ? new History(kind, table, timeoutMs) : undefined
  const instants = options.deadline.in === 'since' ? new InstantsKnown(guard, options.deadline.attribute) : undefined
  const states = new TimerStates(kind, guard, column)
  const rows = {
    options,
    guard,
    deadline: deadlineOf(options, { guard, states, instants, isOurs: verification?.unverified.neverAskedSql }),
    afterCommit: options.afterCommit,
    move,
    set: 'to' in action ? action.set : {},
    states,
    // A dry run writes nothing.
    maintenance: column && !dryRun && !settlesStale ? maintenanceOf(kind, guard, column) : undefined,
    left: column && !dryRun ? leftDeadlines(guard, column, move) : undefined,
    brake: options.brake && !dryRun ? new Brake(kind, table, options.brake) : undefined,
    history,
    verification,
    holds,
    find: (id, transaction) => findOrder(table, id, transaction),
  } satisfies SettledRows
  const takesInstances = options.run !== undefined || options.afterCommit !== undefined || move?.individualHooks === true
  // `afterCommit` gets a batch as a whole, and hooks take long for each order.
  const runsInPortions = !verification && options.afterCommit === undefined && move?.individualHooks !== true
  const settlement = new SettlementTransaction({
    row: rows,
    takesInstances,
    record: history && ((source, proofs) => history.insertSettled(source, move?.to, options.afterCommit !== undefined, proofs)),
  })
  const checks = rowChecks(rows, settlement)
  const check = async () => {
    await checks.check()
    instants?.noteRight()
  }
  const reminds = history !== undefined && !dryRun
  return {
    kind,
    description: options.description,
    parseId: table.parseId,
    runsOwnCode: takesInstances || verification !== undefined,
    batchSize: verification?.batch ?? (takesInstances ? BATCH_OF_INSTANCES : BATCH),
    quickBatchSize: runsInPortions ? BATCH : undefined,
    timeoutMs,
    attempts: options.attempts,
    row: { ...rows, ...checks, check, link: (cascade) => settlement.link(cascade) },
    reminder: undefined,
    reminders: reminds
      ? options.reminders.map((reminder) => reminderRule({ options, table, guard: guardOptions, history, holds }, reminder))
      : [],
    settle: (ids, work) => settlement.settle(ids, work),
  }
}

interface DeadlineParts {
  guard: RowGuard
  states: TimerStates
  instants: InstantsKnown | undefined
  /** The overdue orders that the sweep settles itself. */
  isOurs: Condition
}

function deadlineOf({ kind, deadline }: RowOptions, { guard, states, instants, isOurs }: DeadlineParts): RowRule['deadline'] {
  if (deadline.in === 'column') {
    const { after, pause } = deadline
    return {
      ...deadline,
      afterMs: typeof after === 'number' ? after : undefined,
      afterOf: afterOf(kind, after),
      pending: new PendingRows(guard, pause?.keep, isOurs),
      writes: new DeadlineWrites(kind, guard, deadline, states),
    }
  }
  if (deadline.in === 'since')
    return { ...deadline, pending: new PendingRows(guard, undefined, isOurs), requireInstants: (within) => instants?.require(within) }
  return deadline
}

function maintenanceOf(kind: string, guard: RowGuard, column: DeclaredColumn): Maintenance | undefined {
  const { after, backfill, pause } = column
  if (!backfill && !pause?.while) return undefined
  return new Maintenance(guard, column, afterOf(kind, after))
}

function moveOf(table: OrderTable, action: RuleAction): Move | undefined {
  if (!('to' in action)) return undefined
  const { applies, to, auto, individualHooks } = action
  const cast = (option: string, value: Status) => table.status(option, applies.status, value)
  return { status: applies.status, from: applies.from.map((value) => cast('"from"', value)), to: cast('"to"', to), auto, individualHooks }
}

function leftDeadlines(guard: RowGuard, { attribute, pause, backfill }: DeclaredColumn, move: Move | undefined): LeftDeadlines {
  return new LeftDeadlines({ guard, deadline: attribute, keep: pause?.keep, moves: move !== undefined, backfilled: backfill !== undefined })
}

/** @throws OrderTimersError INVALID_MODEL */
function checkAttributes(table: OrderTable, { pause, extensions, backfill }: DeclaredColumn): void {
  if (pause) table.wholeNumber('"pause.keep"', pause.keep)
  if (extensions) table.wholeNumber('"extended"', extensions.attribute)
  if (backfill?.since !== undefined) table.instant('"backfill.since"', backfill.since)
}

function guardOptionsOf(options: RowOptions, { applies }: RuleAction, settlesStale: boolean): GuardOptions {
  const column = columnOf(options)
  return {
    applies,
    where: options.where,
    pausedWhile: column?.pause?.while,
    deadline: deadlineSource(options.deadline),
    backfilled: column?.backfill !== undefined,
    staleAfterMs: settlesStale ? NEVER_STALE_MS : options.staleAfterMs,
  }
}

function deadlineSource(deadline: DeclaredDeadline): GuardOptions['deadline'] {
  if (deadline.in === 'column') return { option: '"deadline"', attribute: deadline.attribute, plusMs: 0 }
  if (deadline.in === 'since') return { option: '"since"', attribute: deadline.attribute, plusMs: deadline.afterMs }
  return undefined
}

/** Reads the row from the primary. Scopes, hooks and `paranoid` of the model do not apply. */
async function findOrder(table: OrderTable, id: string, transaction: Transaction | undefined): Promise<Model | null> {
  const sql = `SELECT ${table.alias}.* FROM ${table.aliased} WHERE ${table.id} = $1`
  const [row] = await orderRows<Record<string, unknown>>(table.sequelize, sql, [id], transaction)
  return row ? table.instance(row) : null
}

function afterOf(kind: string, after: DeclaredColumn['after']): AfterOfOrder | undefined {
  return typeof after === 'function' ? new AfterOfOrder(kind, after) : undefined
}
