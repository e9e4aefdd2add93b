// Removes old rows of our own tables, whose ids ascend with time: page by page from the oldest, so that no statement takes long on a large table.

import type { Sequelize } from 'sequelize'
import { OrderTimersError } from '../errors.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { withoutBinding } from '../sequelize/sql.js'
import { INSUFFICIENT_PRIVILEGE } from '../sequelize/sqlstates.js'
import type { StatementLimits } from '../sequelize/statement-limits.js'
import { allOf, type Condition } from './conditions.js'
import { boundIntervalSql } from './instant-sql.js'

/** How many rows one transaction looks at. */
const PAGE = 5_000

const LIMITS: StatementLimits = { lockMs: 2_000, statementMs: 10_000, idleMs: 5_000 }

export interface Prunable {
  sequelize: Sequelize
  /** As SQL. */
  table: string
  /** The column with the instant of each row. */
  column: string
  /** Further conditions for removing a row. `$3` is `bound`, `$2` the age in milliseconds. */
  condition: (page: string) => Condition
  bound: unknown
}

/**
 * Ends with the first page without old rows.
 * @param olderThanMs by Postgres's clock
 * @returns how many rows it removed
 * @throws OrderTimersError INVALID_MODEL if this role may not remove them; what Postgres throws
 */
export async function prune({ sequelize, table, column, condition, bound }: Prunable, olderThanMs: number): Promise<number> {
  const line = `clock_timestamp() - ${boundIntervalSql('$2')}`
  const goes = allOf(['t.id = page.id', `page.at < ${line}`, condition('t')])
  const sql = `WITH page AS MATERIALIZED (
  SELECT id, ${column} AS at FROM ${table} WHERE id > $1::bigint ORDER BY id LIMIT ${PAGE}
), gone AS (DELETE FROM ${table} AS t USING page WHERE ${goes} RETURNING 1)
SELECT max(id)::text AS last, coalesce(min(at) < ${line}, FALSE) AS more, (SELECT count(*) FROM gone)::int AS removed FROM page`
  type Page = { last: string | null; more: boolean; removed: number }
  let total = 0
  for (let last = '0'; ; ) {
    const [page] = await inTransaction(sequelize, LIMITS, (transaction) =>
      rows<Page>(sequelize, sql, [last, olderThanMs, bound], transaction),
    ).catch((cause) => {
      if (sqlStateOf(cause) !== INSUFFICIENT_PRIVILEGE) throw cause
      const name = withoutBinding(table)
      const remedy = `GRANT SELECT, DELETE ON ${name} TO that role`
      throw new OrderTimersError('INVALID_MODEL', `orderTimers: this role may not remove rows of ${name}; ${remedy}`, { cause })
    })
    total += page?.removed ?? 0
    if (!page?.more || page.last === null) return total
    last = page.last
  }
}
