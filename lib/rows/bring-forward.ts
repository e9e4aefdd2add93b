// Makes an order's timer due now, by writing its row, so that tests need not wait.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { allOf } from './conditions.js'
import type { RowGuard } from './guard.js'
import { boundIntervalSql, CLOCK, epochMsSql } from './instant-sql.js'
import type { ColumnDeadline, SinceDeadline } from './row-rule.js'

/**
 * Writes the attribute that the deadline is read from, while the rule applies to the order.
 * @param beforeMs for a reminder: how long before the deadline it is due
 * @returns the deadline, in milliseconds since 1970; undefined if the order has no timer
 */
export async function bringForward(
  guard: RowGuard,
  deadline: ColumnDeadline | SinceDeadline,
  id: string,
  beforeMs: number,
  transaction: Transaction,
): Promise<number | undefined> {
  const { table } = guard
  const column = table.bareColumn(deadline.attribute)
  const isPending = [guard.appliesSql, guard.eligibleSql, guard.notDeletedSql, `${guard.deadlineSql} IS NOT NULL`]
  const sql = `UPDATE ${table.aliased} SET ${column} = ${CLOCK} + ${boundIntervalSql('$2')}
WHERE ${allOf([`${table.id} = $1`, ...isPending])}
RETURNING ${epochMsSql(guard.deadlineSql)} AS deadline`
  const afterMs = deadline.in === 'since' ? deadline.afterMs : 0
  const [written] = await rows<{ deadline: number }>(table.sequelize, sql, [id, beforeMs - afterMs], transaction)
  return written?.deadline
}
