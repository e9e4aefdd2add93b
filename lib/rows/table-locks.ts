// Who has locked a whole table of orders, so that its orders cannot be read or settled. Takes no lock on the table and waits for none.

import { inTransaction, rows } from '../sequelize/database.js'
import { withoutBinding } from '../sequelize/sql.js'
import { QUESTION } from '../sequelize/statement-limits.js'
import { statementOf } from './lock-holders.js'
import type { OrderTable } from './order-table.js'

export interface TableLock {
  /** Null for a prepared transaction. */
  pid: number | null
  /** The name of a prepared transaction; null for a session. */
  prepared: string | null
  application: string | null
  user: string | null
  /** How long its transaction has been open, in seconds; null if this role may not see it. */
  openForS: number | null
  /** The verb and the table of its last statement; null if this role may not see it. */
  statement: string | null
  /** Whether the table cannot even be read. */
  keepsFromReading: boolean
}

interface Found extends Omit<TableLock, 'statement'> {
  query: string | null
}

/** Modes that conflict with an UPDATE: https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES */
const MODES = ['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']

/** The prepared transaction `p` that holds the lock `l`. All locks of a transaction have its virtual id, also that on its own number. */
export const PREPARED = `LEFT JOIN pg_locks AS x ON l.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction
  AND x.locktype = 'transactionid' AND x.mode = 'ExclusiveLock' LEFT JOIN pg_prepared_xacts AS p ON p.transaction = x.transactionid`

/** @returns undefined if the table is not locked, or was only for a moment @throws what Postgres or Sequelize throws */
export async function tableLockOf(table: OrderTable): Promise<TableLock | undefined> {
  const sql = `SELECT l.pid, a.application_name AS application, a.usename::text AS "user", a.query, p.gid AS prepared,
  extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 AS "openForS",
  l.mode = 'AccessExclusiveLock' AS "keepsFromReading"
FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid ${PREPARED}
WHERE l.locktype = 'relation' AND l.granted AND l.relation = to_regclass($1)::oid AND l.mode = ANY($2)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 7 DESC, a.xact_start LIMIT 1`
  const bind = [withoutBinding(table.table), MODES]
  const [found] = await inTransaction(table.sequelize, QUESTION, (transaction) => rows<Found>(table.sequelize, sql, bind, transaction))
  if (!found) return undefined
  const { query, ...lock } = found
  return { ...lock, statement: query === null || query.startsWith('<insufficient') ? null : statementOf(query) }
}
