// The advisory lock under which one worker at a time reads a rule's overdue orders. It ends with the reading transaction. A session that keeps
// it blocks every worker, so the holder can be looked up.

import type { Sequelize, Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'

/** A session that holds the lock. Values that this role may not see are null. */
export interface LockHolder {
  pid: number
  application: string | null
  user: string | null
  /** How long its transaction has been open, milliseconds. */
  openMs: number | null
  /** The asking role. */
  asker: string
}

/** @param table as SQL. The prefix keeps the locks of two shops in one database apart */
export function sweepLockName(prefix: string, kind: string, table: string): string {
  return `express-order-timers:sweep:${prefix}${kind}:${table}`
}

/** Tries to take the lock with the bound name, once per statement, before any row is read. Its only column is `ours`. */
export const tryLock = (name: string) => `SELECT pg_try_advisory_xact_lock(${lockKey(name)}) AS ours`

/** The holder of the lock; no row if it is free. */
export function holdersOf(sequelize: Sequelize, lock: string, transaction: Transaction): Promise<LockHolder[]> {
  // Postgres shows the two halves of the key: https://www.postgresql.org/docs/current/view-pg-locks.html
  const sql = `WITH lock AS (SELECT ${lockKey('$1')} AS key)
SELECT l.pid, a.application_name AS application, a.usename::text AS "user", current_user::text AS asker,
  (extract(epoch FROM clock_timestamp() - a.xact_start) * 1000)::float8 AS "openMs"
FROM lock JOIN pg_locks AS l ON l.classid::bigint = ((lock.key >> 32) & 4294967295) AND l.objid::bigint = (lock.key & 4294967295)
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`
  return rows<LockHolder>(sequelize, sql, [lock], transaction)
}

/** As text, for a message. */
export function describeHolder({ pid, application, user, openMs, asker }: LockHolder): string {
  const who = [`pid ${pid}`, application ? `application "${application}"` : '', user ? `user ${user}` : ''].filter(Boolean).join(', ')
  if (openMs !== null) return `${who}, in a transaction that has been open for ${Math.round(openMs / 1_000)} s`
  return `${who}; for how long cannot be seen without GRANT pg_read_all_stats TO "${asker}", or it holds it outside a transaction`
}

/** Shops in other schemas of the same database have other locks. */
function lockKey(name: string): string {
  return `hashtextextended(concat(${name}::text, current_schema()), 0)`
}
