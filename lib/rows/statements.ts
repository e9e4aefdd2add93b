// Every statement that a rule runs on its tables, each as the call that runs it. On an explaining transaction these calls have Postgres plan their
// statements without running them, so the check of a rule covers exactly what will run. Each new statement must be added here:
// test/rows/statements.test.ts compares this list with what the shops of the tests send to Postgres.

import type { Transaction } from 'sequelize'
import { OrderTimersError } from '../errors.js'
import { rows } from '../sequelize/database.js'
import {
  FEATURE_NOT_SUPPORTED,
  GENERATED_ALWAYS,
  INSUFFICIENT_PRIVILEGE,
  OBJECT_NOT_IN_PREREQUISITE_STATE,
  UNDEFINED_COLUMN,
} from '../sequelize/sqlstates.js'
import { bringForward } from './bring-forward.js'
import type { NewDeadline } from './deadline-sql.js'
import type { RowGuard } from './guard.js'
import { cannotLock, readMarks } from './lock-holders.js'
import { CANNOT_SEE_LOCKS, type OrderCountsQuery, orderCountsSql } from './order-counts-sql.js'
import type { OrderTable } from './order-table.js'
import type { ColumnDeadline, SettledRows, Verification } from './row-rule.js'

export interface Statement {
  /** The only option that decides whether it can run, quoted; or the purpose of the statement. */
  name: string
  run(transaction: Transaction): Promise<unknown>
  /** SQLSTATEs that are not faults: the caller can do without the statement. */
  mayFail?: readonly string[]
  /** Only workers run it: other processes need not have the right. */
  ofWorker?: true
}

/** One statement for each option that becomes SQL, so that an error can be attributed to that option. */
export function optionStatements({ guard, move, set = {} }: SettledRows): Statement[] {
  const { table } = guard
  const from = (name: string, condition: string) => statement(table, name, `SELECT 1 FROM ${table.aliased} WHERE ${condition}`)
  const assign = (name: string, values: Record<string, unknown>) =>
    statement(table, name, `UPDATE ${table.aliased} SET ${table.assignments(values).join(', ')} WHERE FALSE`)
  return [
    from(guard.statusAttribute === undefined ? '"where"' : '"from"', guard.appliesSql),
    ...(guard.whereSql === undefined ? [] : [from('"where"', guard.whereSql)]),
    ...(guard.pausedSql === undefined ? [] : [from('"pause.while"', guard.pausedSql)]),
    ...[
      ...(move ? [assign('"to"', { [move.status]: move.to })] : []),
      ...Object.entries(set).map(([name, value]) => assign(`"set.${name}"`, { [name]: value })),
    ].map(ofWorker),
  ]
}

/** For a column that only tests write: this user lacks the right, the column is generated (in a table or by a view's expression), or the view accepts no UPDATE. */
const NOT_WRITABLE = [INSUFFICIENT_PRIVILEGE, GENERATED_ALWAYS, FEATURE_NOT_SUPPORTED, OBJECT_NOT_IN_PREREQUISITE_STATE]

const SOME_DEADLINE = '2000-01-01 00:00:00+00'

/** Whole statements, as they run. */
export function ruleStatements(row: SettledRows, explain: (transaction: Transaction) => Promise<void>): Statement[] {
  const { guard, deadline, states, maintenance, left, history, brake, verification } = row
  const pending = deadline.in === 'redis' ? undefined : deadline.pending
  const id = guard.table.idType.example
  const after = { id, deadline: SOME_DEADLINE }
  const list: (Statement | undefined)[] = [
    ofWorker({ name: 'settling', run: explain }),
    { name: 'reading one order', run: async (transaction) => row.find?.(id, transaction) },
    states && { name: "reading an order's timer", run: (transaction) => states.find(id, transaction) },
    states && { name: "reading many orders' timers", run: (transaction) => states.findAll([id], transaction) },
    ...(deadline.in === 'column' ? deadlineWrites(deadline, id) : []),
    ...(pending
      ? [undefined, after].flatMap((after) => [
          {
            name: 'reading what is overdue',
            run: (transaction: Transaction) => pending.overdue(transaction, { elapsedMs: 0, after, limit: 1, lock: '' }),
            ofWorker: true as const,
          },
          {
            name: 'reading what comes due',
            run: (transaction: Transaction) => pending.upcoming(transaction, { horizonMs: 0, after, limit: 1 }),
            ofWorker: true as const,
          },
        ])
      : []),
    pending && { name: 'counting what is stale', run: (transaction) => pending.stale(transaction) },
    pending && { name: 'counting what has no deadline', run: (transaction) => pending.undated(transaction) },
    left && ofWorker({ name: 'clearing deadlines of orders that have left', run: (transaction) => left.clear([id], transaction) }),
    left && ofWorker({ name: 'clearing deadlines of orders that have left', run: (transaction) => left.clearBatch(transaction, 1) }),
    left && ofWorker({ name: 'clearing pauses of orders that have left', run: (transaction) => left.clearPauses(transaction, 1) }),
    left && ofWorker({ name: 'counting deadlines of orders that have left', run: (transaction) => left.count(transaction) }),
    maintenance && ofWorker({ name: 'backfilling and pausing', run: (transaction) => maintenance.explain(transaction, id) }),
    history && ofWorker({ name: 'taking a pending delivery', run: (transaction) => history.takePendingDelivery(transaction) }),
    history && ofWorker({ name: 'recording a delivery', run: (transaction) => history.markDelivered(['1'], transaction) }),
    history && ofWorker({ name: 'recording a failed delivery', run: (transaction) => history.markFailed(['1'], '', 1, 1, transaction) }),
    brake && ofWorker({ name: 'counting for the brake', run: (transaction) => brake.allowance(transaction) }),
    brake && ofWorker({ name: 'counting for the brake', run: (transaction) => brake.count(1, false, transaction) }),
    brake && ofWorker({ name: 'counting for the brake', run: (transaction) => brake.count(1, true, transaction) }),
    brake && verification && { name: 'reading the brake', run: (transaction) => brake.remaining(transaction) },
    brake && { name: 'reading the brake', run: (transaction) => brake.brakedAt(transaction) },
    brake && { name: 'releasing the brake', run: (transaction) => brake.release(transaction) },
    ...(verification ? askingStatements(guard, verification, id) : []),
    { name: 'finding who has locked a row', run: (transaction) => readMarks(guard.table, [id], transaction), mayFail: CANNOT_SEE_LOCKS },
    { name: 'finding whether a row is locked', run: (transaction) => cannotLock(guard.table, id, transaction) },
    deadline.in === 'column' || deadline.in === 'since'
      ? { name: 'bringing a timer forward', run: (transaction) => bringForward(guard, deadline, id, 0, transaction), mayFail: NOT_WRITABLE }
      : undefined,
    ...(pending ? orderCounts(row) : []),
  ]
  return list.filter((one) => one !== undefined)
}

function askingStatements(guard: RowGuard, { unverified }: Verification, id: string): Statement[] {
  return [
    ofWorker({ name: 'reading what "verify" asks about', run: (transaction) => unverified.look(guard, [id], transaction) }),
    ofWorker({ name: 'keeping an answer of "verify"', run: (transaction) => unverified.note([], transaction) }),
    ofWorker({
      name: 'reading what "verify" asks about again',
      run: (transaction) => unverified.dueAgain(guard, 1, undefined, transaction),
    }),
    { name: 'reading what waits for "verify"', run: (transaction) => unverified.summary(transaction) },
    { name: 'reading what waits for "verify"', run: (transaction) => unverified.of(id, transaction) },
    { name: 'settling an order unverified', run: (transaction) => unverified.waive([id], { by: '', reason: '' }, transaction) },
  ]
}

function ofWorker(statement: Statement): Statement {
  return { ...statement, ofWorker: true }
}

/** Each also without reading locks, for roles that may not read them. */
function orderCounts(row: SettledRows): Statement[] {
  const { table } = row.guard
  const count = (query: OrderCountsQuery, seesLocks: boolean): Statement => ({
    name: 'counting its orders',
    run: (transaction) => rows(table.sequelize, orderCountsSql(row, query, seesLocks), query.knowsFailures ? [[], []] : [], transaction),
    ...(seesLocks && { mayFail: CANNOT_SEE_LOCKS }),
  })
  return [false, true].flatMap((asBackfilled) =>
    [false, true].flatMap((knowsFailures) => {
      const query = { days: 1, asBackfilled, knowsFailures }
      return [count(query, true), count(query, false)]
    }),
  )
}

function deadlineWrites({ pause, writes }: ColumnDeadline, id: string): Statement[] {
  const values: [string, NewDeadline][] = [
    ['schedule', { afterMs: 1 }],
    ['schedule', { atMs: 0 }],
    ['extend', { byMs: 1 }],
    ['cancel', null],
    ...(pause
      ? ([
          ['pause', 'pause'],
          ['resume', 'resume'],
        ] as [string, NewDeadline][])
      : []),
  ]
  const lock = { name: "locking an order's row", run: (transaction: Transaction) => writes.lock(id, transaction) }
  const write = ([name, value]: [string, NewDeadline]): Statement[] => [
    { name, run: (transaction: Transaction) => writes.run(id, value, 'hardly', transaction), mayFail: [UNDEFINED_COLUMN] }, // on a view
    { name, run: (transaction: Transaction) => writes.write(id, value, transaction).catch(unlessNothingFound) },
  ]
  return [lock, ...values.flatMap(write)]
}

function statement(table: OrderTable, name: string, sql: string): Statement {
  return { name, run: (transaction) => rows(table.sequelize, sql, [], transaction) }
}

/** An explained statement returns no row, so the calls report that there is no such order. */
function unlessNothingFound(error: unknown): void {
  if (error instanceof OrderTimersError && error.code === 'ERR_ORDER_TIMERS_ORDER_NOT_FOUND') return
  throw error
}
