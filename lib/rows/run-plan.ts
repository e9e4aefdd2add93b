// What a run will do, before anything is written: how many orders, the first of them, and what Postgres has to write.

import type { Transaction } from 'sequelize'
import { inTransaction, rows } from '../sequelize/database.js'
import { LOOK } from '../sequelize/statement-limits.js'
import type { RowGuard } from './guard.js'
import { CLOCK, epochMsSql } from './instant-sql.js'
import type { DeclaredColumn } from './row-options.js'
import { RunSql } from './run-sql.js'
import type { RunsTable, RunTask } from './runs-table.js'

export interface PlannedRun {
  count: number
  samples: { id: string; before: number | null; after: number | null }[]
  walBytes: number
  lastId: string | null
  /** By Postgres's clock, milliseconds since 1970. */
  now: number
}

const SAMPLES = 5

/** WAL bytes besides the row: for the update, and for a new index entry. */
const UPDATE_BYTES = 60
const INDEX_ENTRY_BYTES = 80
/** A page is logged completely at its first change after a checkpoint. */
const PAGE_BYTES = 8_192

/**
 * Has Postgres plan the writes of a portion, so that a run without the rights never begins, and holds nothing.
 * @throws OrderTimersError NOT_RECORDED; what Postgres throws
 */
export function explainRun(
  { guard, deadline }: { guard: RowGuard; deadline: DeclaredColumn },
  task: RunTask,
  runs: RunsTable,
): Promise<void> {
  const { sequelize, idType } = guard.table
  const page = { after: null, upTo: idType.example, limit: 1, lookAt: 1 }
  return inTransaction(sequelize, { ...LOOK, explains: true }, async (transaction) => {
    const mover = { run: '0', process: '', history: undefined } // the right to the history is checked when the run begins
    await new RunSql(guard, deadline, task, 0).move(page, mover, transaction)
    await runs.explain(transaction)
  })
}

export async function planRun(guard: RowGuard, column: DeclaredColumn, task: RunTask, transaction: Transaction): Promise<PlannedRun> {
  const { sequelize, tableText, aliased, alias } = guard.table
  const [clock] = await rows<{ now: number }>(sequelize, `SELECT ${epochMsSql(CLOCK)} AS now`, [], transaction)
  const now = clock?.now ?? 0
  const sql = new RunSql(guard, column, task, now)
  const lastId = await sql.lastId(transaction)
  const count = await sql.count(transaction)
  const size = `SELECT (SELECT count(*)::int FROM pg_index WHERE indrelid = to_regclass($1)) AS indexes,
  (coalesce(pg_relation_size(to_regclass($1)), 0) / ${PAGE_BYTES})::float8 AS pages,
  (SELECT avg(pg_column_size(order_timers_row.*))::float8 FROM (SELECT ${alias}.* FROM ${aliased} LIMIT 100) AS order_timers_row) AS bytes`
  type Size = { indexes: number; pages: number; bytes: number | null }
  const [{ indexes, pages, bytes } = { indexes: 1, pages: 0, bytes: 0 }] = await rows<Size>(sequelize, size, [tableText], transaction)
  const perOrder = (bytes ?? 0) + UPDATE_BYTES + indexes * INDEX_ENTRY_BYTES
  return {
    ...{ count, lastId, now },
    samples: await sql.samples(SAMPLES, transaction),
    walBytes: Math.round(count * perOrder + Math.min(count, pages) * PAGE_BYTES),
  }
}
