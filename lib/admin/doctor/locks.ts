// Long-held locks of other sessions: on the orders' table, on due rows, and the sweep's lock. Each with the command that ends its holder.

import { allOf } from '../../rows/conditions.js'
import { lockHolders } from '../../rows/lock-holders.js'
import { isLockedSql } from '../../rows/row-is-locked.js'
import type { RowRule } from '../../rows/row-rule.js'
import { describeHolder, holdersOf, sweepLockName } from '../../rows/sweep-lock.js'
import { PREPARED } from '../../rows/table-locks.js'
import { inTransaction, rows } from '../../sequelize/database.js'
import { QUESTION } from '../../sequelize/statement-limits.js'
import { byHand, type Check, type Finding, fine, ofEach, psql, type Remedy, unseen, wrong } from './check.js'
import { why } from './subject.js'

const TABLE = 'locks.table'
const ROW = 'locks.row'
const SWEEP = 'locks.sweep'

/** A transaction that holds a lock for longer is unlikely to end soon. */
const LONG_S = 5

interface TableLock {
  pid: number | null
  /** The name of a prepared transaction. */
  prepared: string | null
  mode: string
  seconds: number | null
  application: string | null
}

export const locks: Check = {
  name: TABLE,
  needs: 'postgres',
  async look({ databases, runtime }) {
    const tables = new Map<unknown, Set<string>>() // of each database
    const all = databases.flatMap(({ rules }) => rules)
    return ofEach(all, TABLE, async ({ kind, row }) => {
      const { table, tableText, sequelize } = row.guard.table
      const seen = tables.get(sequelize) ?? new Set()
      const findings = seen.has(tableText) ? [] : [await onTable(row)]
      tables.set(sequelize, seen.add(tableText))
      if (row.deadline.in === 'redis') return findings
      const expected = 'no row of a due order is locked for long'
      const onOrders = await onRows(kind, row).catch((error) => unseen(ROW, { kind, expected, found: why(error) }))
      return [...findings, onOrders, await onSweep(kind, row, sweepLockName(runtime.keys.prefix, kind, table))]
    })
  },
}

/** Locks that keep others from writing rows: https://www.postgresql.org/docs/current/explicit-locking.html */
async function onTable({ guard: { table } }: RowRule): Promise<Finding> {
  const expected = `no session locks ${table.tableText} for longer than ${LONG_S} s`
  const sql = `SELECT l.pid, l.mode, a.application_name AS application, p.gid AS prepared,
  extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 AS seconds
FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid ${PREPARED}
WHERE l.locktype = 'relation' AND l.relation = to_regclass($1) AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`
  const found = await ask<TableLock>(table.sequelize, sql, [table.tableText])
  const [lock] = found.filter(({ seconds }) => seconds === null || seconds > LONG_S)
  if (!lock) return fine(TABLE, { expected, found: found.length === 0 ? 'none does' : 'one does, for a moment' })
  const age = lock.seconds === null ? '; for how long this role may not see' : ` for ${Math.round(lock.seconds)} s`
  const about = { expected, found: `${who(lock)} holds ${lock.mode}${age}` }
  const shared = lock.pid === null && { shared: `a prepared transaction holds ${lock.mode}${age}` }
  return wrong(TABLE, { ...about, ...shared }, ...ending(lock))
}

async function onRows(kind: string, row: RowRule): Promise<Finding> {
  const { guard } = row
  const { table } = guard
  const expected = `no row of a due order is locked for longer than ${LONG_S} s`
  const conditions = allOf([guard.appliesSql, guard.dueSql, guard.eligibleSql, guard.notDeletedSql, isLockedSql(table.alias)])
  const ids = await ask<{ id: string }>(
    table.sequelize,
    `SELECT ${table.id}::text AS id FROM ${table.aliased} WHERE ${conditions} LIMIT 100`,
    [],
  )
  const holders = await lockHolders(
    guard,
    ids.map(({ id }) => id),
  )
  const long = holders.filter(({ openForS, pid }) => pid === null || openForS === null || openForS > LONG_S)
  const [first] = long
  if (!first) return fine(ROW, { kind, expected, found: holders.length === 0 ? 'none is' : `${holders.length} for a moment` })
  const statement = first.statement === null ? '' : `, last statement ${first.statement}`
  const age = first.openForS === null ? '' : `, in a transaction open for ${Math.round(first.openForS)} s`
  const found = `${long.length}; ${who(first)} holds order ${first.id}${age}${statement}`
  const shared = `${long.length}${age}${statement}`
  return wrong(ROW, { kind, expected, found, shared }, ...ending(first))
}

/** A worker holds it for a moment while it reads, so the holder is read twice. */
async function onSweep(kind: string, { guard: { table } }: RowRule, lock: string): Promise<Finding> {
  const expected = "no session keeps the sweep's lock"
  const look = () => inTransaction(table.sequelize, QUESTION, (transaction) => holdersOf(table.sequelize, lock, transaction))
  const [before] = await look()
  if (!before) return fine(SWEEP, { kind, expected, found: 'none does' })
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const holder = (await look()).find(({ pid }) => pid === before.pid)
  if (!holder) return fine(SWEEP, { kind, expected, found: 'a worker read for a moment' })
  if (holder.openMs !== null && holder.openMs < LONG_S * 1_000) return fine(SWEEP, { kind, expected, found: 'a worker reads' })
  return wrong(SWEEP, { kind, expected, found: describeHolder(holder) }, ...ending({ ...holder, prepared: null }))
}

type Holder = Pick<TableLock, 'pid' | 'prepared'>

/** No other prepared transaction is named: it may be one that is to be committed. */
function ending({ pid, prepared }: Holder): Remedy[] {
  if (pid !== null) return [byHand('let that transaction end, or end its session:'), psql(`SELECT pg_terminate_backend(${pid})`)]
  const asked = byHand('ask whoever prepared it (pg_prepared_xacts) whether it is to be committed or rolled back:')
  return prepared === null ? [asked] : [asked, psql(`ROLLBACK PREPARED '${prepared.replaceAll("'", "''")}'`)]
}

function who({ pid, prepared, application }: Holder & Pick<TableLock, 'application'>): string {
  if (pid === null) return `the prepared transaction ${JSON.stringify(prepared)}`
  return `process ${pid} of Postgres${application ? ` (application ${JSON.stringify(application)})` : ''}`
}

function ask<Row>(sequelize: RowRule['guard']['table']['sequelize'], sql: string, bind: unknown[]): Promise<Row[]> {
  return inTransaction(sequelize, QUESTION, (transaction) => rows<Row>(sequelize, sql, bind, transaction))
}
