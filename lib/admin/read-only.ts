// A statement over many rows that also reads their locks, in a separate read-only transaction.

import type { Sequelize } from 'sequelize'
import { LOOK_SETTINGS } from '../rows/capped-orders-sql.js'
import { CANNOT_SEE_LOCKS } from '../rows/order-counts-sql.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import type { StatementLimits } from '../sequelize/statement-limits.js'

/** @param sqlOf the statement; without reading locks if the table or this role does not allow that @throws what Postgres or Sequelize throws */
export async function readOnly<Row extends object>(
  sequelize: Sequelize,
  limits: StatementLimits,
  bind: readonly unknown[],
  sqlOf: (seesLocks: boolean) => string,
): Promise<{ found: Row[]; queryMs: number }> {
  const read = (sql: string) =>
    inTransaction(sequelize, limits, async (transaction) => {
      await rows(sequelize, LOOK_SETTINGS, undefined, transaction)
      const startedAt = performance.now()
      return { found: await rows<Row>(sequelize, sql, bind, transaction), queryMs: performance.now() - startedAt }
    })
  try {
    return await read(sqlOf(true))
  } catch (error) {
    if (!CANNOT_SEE_LOCKS.includes(sqlStateOf(error) ?? '')) throw error
    return await read(sqlOf(false))
  }
}
