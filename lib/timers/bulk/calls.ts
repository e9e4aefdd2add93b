// extendAll, scheduleAll and cancelAll, and the calls that end or resume a run. The plan comes first; then the run begins, and holds its kind until
// it ends.

import type { Transaction } from 'sequelize'
import type { BulkOptions, BulkPlan, BulkResult, RunOptions } from '../../bulk.js'
import { OrderTimersError, refuseUnknownOptions } from '../../errors.js'
import { ActionsTable } from '../../rows/actions-table.js'
import { noteHeldTime } from '../../rows/held-time.js'
import type { RowRule } from '../../rows/row-rule.js'
import { explainRun, type PlannedRun, planRun } from '../../rows/run-plan.js'
import { RUN_OWNER, type Run, type RunAction, RunsTable, type RunTask } from '../../rows/runs-table.js'
import { inTransaction } from '../../sequelize/database.js'
import type { StatementLimits } from '../../sequelize/statement-limits.js'
import { refuseOldWorkers } from '../hold.js'
import type { Runtime } from '../runtime.js'
import { endRun, releaseLostRun } from './end.js'
import { type BulkRule, bulkRule, checkRunOptions, notInBulk, parseBulk } from './request.js'
import { Runner } from './runner.js'

/** Counting a large table may take a while. */
const PLANNING: StatementLimits = { lockMs: 300, statementMs: 60_000, idleMs: 5_000 }

/** How long a run waits for Redis before it begins without it. */
const CONNECT_MS = 2_000

/** Who requests it, for the record. */
export interface BulkActor {
  user: string
  via: 'call' | 'command' | 'page'
}

/**
 * @throws OrderTimersError as `parseBulk`; NOT_RECORDED if a table is missing; RUN_UNFINISHED if another run of the kind has not ended, or
 * this one could not be finished; POSTGRES_UNAVAILABLE
 */
export async function bulk(
  runtime: Runtime,
  kind: string,
  action: RunAction,
  options: BulkOptions,
  actor: BulkActor = { user: runtime.identity.id, via: 'call' },
): Promise<BulkResult> {
  const { rule, task } = parseBulk(runtime, kind, action, options)
  const { guard, deadline } = rule.row
  await noteHeldTime(rule.row)
  const planned = await inTransaction(guard.table.sequelize, PLANNING, (transaction) => planRun(guard, deadline, task, transaction))
  if (task.atMs !== null && task.atMs <= planned.now) {
    const message = `orderTimers: ${kind}: "at" must be in the future by Postgres's clock, got ${new Date(task.atMs).toISOString()}`
    throw new OrderTimersError('INVALID_DEADLINE', `${message}; cancelAll() ends timers, and settle makes an order due now`)
  }
  const result = { kind, action, run: null, moved: 0, plan: shownPlan(planned) }
  if (options.dryRun || planned.count === 0) return result
  const run = await beginRun(runtime, rule, task, planned, { ...actor, reason: options.reason })
  return { ...result, run: run.id, moved: await carryOut(runtime, rule, run, options) }
}

/** Continues the unfinished run of a kind. @throws OrderTimersError NO_RUN; as `bulk` */
export async function resumeRun(runtime: Runtime, kind: string, options: RunOptions = {}): Promise<BulkResult> {
  runtime.rule(kind) // throws for an unknown kind
  const call = `orderTimers: ${kind}: resumeRun()`
  refuseUnknownOptions(call, options, ['onProgress', 'signal'])
  checkRunOptions(call, options)
  const rule = bulkRule(runtime.rule(kind), 'resumeRun')
  const [run] = await tablesOf(runtime, rule).runs.unfinished(kind)
  if (!run) throw noRun(kind, 'resume')
  await rule.row.history?.requireInsert(null)
  return { kind, action: run.action, run: run.id, moved: await carryOut(runtime, rule, run, options), plan: undefined }
}

/**
 * Ends it where it is: what was moved stays moved. The rule may have changed since the run began, and the table of runs may have been lost.
 * @throws OrderTimersError NO_RUN, NOT_RECORDED
 */
export async function abandonRun(runtime: Runtime, kind: string): Promise<BulkResult> {
  const { row } = runtime.rule(kind)
  if (!row) throw notInBulk(kind, 'abandonRun')
  const tables = tablesOf(runtime, { row })
  const [run] = await tables.runs.unfinishedIfAny(kind)
  if (run) {
    const ended = await endRun(runtime, { kind, row }, run, 'abandoned', tables)
    return { kind, action: run.action, run: run.id, moved: ended?.moved ?? run.moved, plan: undefined }
  }
  const action = await releaseLostRun(runtime, kind, row, tables.runs)
  if (action !== undefined) return { kind, action, run: null, moved: 0, plan: undefined }
  await tables.runs.unfinished(kind) // says which table is missing
  throw noRun(kind, 'abandon')
}

/** Begins a run: after its commit the kind is held. @throws OrderTimersError NOT_RECORDED, RUN_UNFINISHED */
export async function beginRun(
  runtime: Runtime,
  rule: BulkRule,
  task: RunTask,
  { count, lastId }: Pick<PlannedRun, 'count' | 'lastId'>,
  { user, via, reason }: BulkActor & { reason: string | undefined },
): Promise<Run> {
  const { runs, actions } = tablesOf(runtime, rule)
  const { kind } = rule
  await refuseOldWorkers(runtime, kind)
  await explainRun(rule.row, task, runs)
  let begun: Run | undefined
  const begin = async (transaction: Transaction): Promise<void> => {
    await rule.row.history?.requireInsert(transaction)
    const act = { action: task.action, kind, actor: user, via, reason, state: 'asked', count, orders: [] } as const
    const record = await actions.record(act, transaction)
    const process = runtime.identity.id
    begun = await runs.begin({ ...task, kind, planned: count, lastId, actor: user, reason, process, record }, transaction)
    if (!begun) throw unfinished(kind, (await runs.unfinished(kind))[0])
  }
  try {
    await rule.row.holds.place({ owner: RUN_OWNER, reason: `${task.action}${reason ? `: ${reason}` : ''}`, by: user }, begin)
  } catch (error) {
    if (!(error instanceof OrderTimersError) || error.code !== 'ERR_ORDER_TIMERS_ALREADY_HELD') throw error
    throw unfinished(kind, (await runs.unfinished(kind))[0])
  }
  runtime.meters.actions.add(task.action)
  return begun as unknown as Run
}

export async function carryOut(runtime: Runtime, rule: BulkRule, run: Run, options: RunOptions): Promise<number> {
  await runtime.redis?.connection.connected(CONNECT_MS).catch(() => {})
  await noteHeldTime(rule.row)
  return new Runner(runtime, rule, run, tablesOf(runtime, rule)).carryOut(options)
}

export function tablesOf({ keys }: Runtime, { row }: { readonly row: RowRule }): { runs: RunsTable; actions: ActionsTable } {
  const { table } = row.guard
  return { runs: new RunsTable(table, keys.prefix), actions: new ActionsTable(table, keys.prefix) }
}

function noRun(kind: string, what: 'resume' | 'abandon'): OrderTimersError {
  return new OrderTimersError('NO_RUN', `orderTimers: ${kind}: there is no run to ${what}; all have ended`)
}

function unfinished(kind: string, run: Run | undefined): OrderTimersError {
  const which = run
    ? `${run.action} of ${new Date(run.startedAt).toISOString()} (${run.moved} of ${run.planned} orders, by ${run.process})`
    : 'another run'
  const remedy = `wait for it; if its process has gone, resumeRun(${JSON.stringify(kind)}) goes on, and abandonRun ends it`
  return new OrderTimersError('RUN_UNFINISHED', `orderTimers: ${kind}: ${which} has not ended; ${remedy}`)
}

function shownPlan({ count, samples, walBytes }: PlannedRun): BulkPlan {
  const date = (milliseconds: number | null) => (milliseconds === null ? null : new Date(milliseconds))
  const shown = samples.map(({ id, before, after }) => ({ id, before: date(before), after: date(after) }))
  return { count, samples: shown, deadTuples: count, walBytes }
}
