// The clock by which the orders of a rule are due. The ages of a report are measured by it: that of the host where a command runs may be wrong.

import type { RowRule } from '../rows/row-rule.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { QUESTION } from '../sequelize/statement-limits.js'

/** Milliseconds since 1970. @throws what Postgres or Sequelize throws */
export async function postgresNow({ guard: { table } }: RowRule): Promise<number> {
  const sql = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now'
  const [row] = await inTransaction(table.sequelize, QUESTION, (transaction) =>
    rows<{ now: number }>(table.sequelize, sql, [], transaction),
  )
  return Number(row?.now)
}
