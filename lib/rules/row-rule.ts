// A row rule put together: from its options, once they have been looked at, and its model, to what the timers, the dispatcher and the sweep
// use. Nothing is decided here that is not said in row-options.ts, transition.ts or effect.ts.

import type { Model, Transaction } from 'sequelize'
import { parseDuration } from '../duration.js'
import { Brake } from '../rows/brake.js'
import { DeadlineWrites } from '../rows/deadline-writes.js'
import { type GuardOptions, RowGuard, type Status } from '../rows/guard.js'
import { History } from '../rows/history.js'
import { InstantsKnown } from '../rows/instants-known.js'
import { LeftDeadlines } from '../rows/left-deadlines.js'
import { Maintenance } from '../rows/maintenance.js'
import type { ModelSource } from '../rows/model-source.js'
import { OrderTable } from '../rows/order-table.js'
import { PendingRows } from '../rows/pending-rows.js'
import type { RowOptions } from '../rows/row-options.js'
import type { Move, RowRule, SettledRows } from '../rows/row-rule.js'
import { SettlementTransaction } from '../rows/settlement-transaction.js'
import type { RuleAction } from '../rows/writes.js'
import { orderRows } from '../sequelize/database.js'
import { reminderRule } from './reminder.js'
import { rowChecks } from './row-checks.js'
import type { BindOptions, DeclaredRule, OrderRule } from './rule.js'

const BATCH = 1_000
/** Instances cost far more than rows, and the shop's own work is done for each. */
const BATCH_OF_INSTANCES = 100

/** Longer than any order has been overdue: a thousand years, and still an instant that Postgres knows. */
const NEVER_STALE_MS = 365_000 * 86_400_000

export function declareRowRule(options: RowOptions, source: unknown, action: RuleAction): DeclaredRule {
  const { kind, form, deadline } = options
  return {
    kind,
    form,
    deadline: deadline === undefined ? undefined : { source, attribute: deadline },
    auto: action.auto ? { source } : undefined,
    bind: (how) => bind(options, source as ModelSource<Model>, action, how),
  }
}

function bind(options: RowOptions, source: ModelSource<Model>, action: RuleAction, { settlesStale = false }: BindOptions = {}): OrderRule {
  const { kind, dryRun, timeoutMs } = options
  const table = OrderTable.of(kind, source)
  const guardOptions: GuardOptions = {
    applies: action.applies,
    where: options.where,
    pausedWhile: options.pause?.while,
    deadline: deadlineSource(options),
    backfilled: options.backfill !== undefined,
    staleAfterMs: settlesStale ? NEVER_STALE_MS : options.staleAfterMs,
  }
  const guard = new RowGuard(table, guardOptions)
  checkAttributes(table, options)
  const move = moveOf(table, action)
  const history = options.history ? new History(kind, table, timeoutMs) : undefined
  const instants = options.since === undefined ? undefined : new InstantsKnown(guard, options.since)
  const isMaintained = options.backfill !== undefined || options.pause?.while !== undefined
  const rows = {
    options,
    guard,
    deadline: deadlineOf(options, guard, instants),
    afterCommit: options.afterCommit,
    move,
    set: action.set ?? {},
    writes: new DeadlineWrites(kind, guard, options),
    // A dry run writes nothing, and reports nothing else.
    maintenance: isMaintained && !dryRun && !settlesStale ? new Maintenance(guard, options, (order) => afterOf(options, order)) : undefined,
    left: dryRun ? undefined : leftDeadlines(guard, options, move),
    brake: options.brake && !dryRun ? new Brake(kind, table, options.brake) : undefined,
    history,
    find: (id, transaction) => findOrder(table, id, transaction),
  } satisfies SettledRows
  const takesInstances = options.run !== undefined || options.afterCommit !== undefined || action.individualHooks === true
  const settlement = new SettlementTransaction({
    row: rows,
    action,
    takesInstances,
    record: history && ((source) => history.insertSettled(source, move?.to, options.afterCommit !== undefined)),
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
    runsOwnCode: takesInstances,
    batchSize: takesInstances ? BATCH_OF_INSTANCES : BATCH,
    timeoutMs,
    attempts: options.attempts,
    row: { ...rows, ...checks, check, link: (cascade) => settlement.link(cascade) },
    reminder: undefined,
    reminders: reminds ? options.reminders.map((reminder) => reminderRule({ options, table, guard: guardOptions, history }, reminder)) : [],
    settle: (ids, work) => settlement.settle(ids, work),
  }
}

function deadlineOf(options: RowOptions, guard: RowGuard, instants: InstantsKnown | undefined): RowRule['deadline'] {
  const { deadline, since, after, pause } = options
  const afterMs = typeof after === 'number' ? after : undefined
  if (deadline !== undefined) {
    const pending = new PendingRows(guard, pause?.keep)
    const ofOrder = typeof after === 'function' ? (order: Model) => afterOf(options, order) : undefined
    return { in: 'column', attribute: deadline, afterMs, afterOf: ofOrder, pending }
  }
  if (since !== undefined && instants) {
    const pending = new PendingRows(guard)
    return { in: 'since', attribute: since, afterMs: afterMs as number, pending, requireInstants: () => instants.require() }
  }
  return { in: 'redis', afterMs }
}

function moveOf(table: OrderTable, { applies, to, auto = false, individualHooks = false }: RuleAction): Move | undefined {
  if (!('status' in applies) || to === undefined) return undefined
  const cast = (option: string, value: Status) => table.status(option, applies.status, value)
  return { status: applies.status, from: applies.from.map((value) => cast('"from"', value)), to: cast('"to"', to), auto, individualHooks }
}

function leftDeadlines(guard: RowGuard, { deadline, pause, backfill }: RowOptions, move: Move | undefined): LeftDeadlines | undefined {
  if (deadline === undefined) return undefined
  return new LeftDeadlines({ guard, deadline, keep: pause?.keep, moves: move !== undefined, backfilled: backfill !== undefined })
}

/** @throws OrderTimersError INVALID_MODEL */
function checkAttributes(table: OrderTable, { pause, extensions, backfill }: RowOptions): void {
  if (pause) table.wholeNumber('"pause.keep"', pause.keep)
  if (extensions) table.wholeNumber('"extended"', extensions.attribute)
  if (backfill?.since !== undefined) table.instant('"backfill.since"', backfill.since)
}

function deadlineSource({ deadline, since, after }: RowOptions): GuardOptions['deadline'] {
  if (deadline !== undefined) return { option: '"deadline"', attribute: deadline, plusMs: 0 }
  if (since !== undefined) return { option: '"since"', attribute: since, plusMs: after as number }
  return undefined
}

/** By a statement of our own: on the primary, whatever is presented by scopes, hooks and `paranoid`. */
async function findOrder(table: OrderTable, id: string, transaction: Transaction | undefined): Promise<Model | null> {
  const sql = `SELECT ${table.alias}.* FROM ${table.aliased} WHERE ${table.id} = $1`
  const [row] = await orderRows<Record<string, unknown>>(table.sequelize, sql, [id], transaction)
  return row ? table.instance(row) : null
}

function afterOf({ kind, after }: RowOptions, order: Model): number | null {
  const given = typeof after === 'function' ? after(order) : after
  return given === null ? null : parseDuration(`orderTimers: rule "${kind}": what "after" returned`, given)
}
