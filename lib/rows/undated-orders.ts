// The orders of a rule that have no deadline, by id. No index need serve this.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { allOf } from './conditions.js'
import { columnOf } from './row-options.js'
import type { SettledRows } from './row-rule.js'

export class UndatedOrders {
  constructor(private readonly row: SettledRows) {}

  /** @param after the last id of the page before */
  async page(transaction: Transaction, after: string | undefined, limit: number): Promise<string[]> {
    const { guard, options } = this.row
    const { table } = guard
    const { pause } = columnOf(options) ?? {}
    const where = allOf([
      guard.appliesSql,
      guard.eligibleSql,
      guard.notDeletedSql,
      `${guard.deadlineSql} IS NULL`,
      pause && `${table.column(pause.keep)} IS NULL`,
      after === undefined ? undefined : `${table.id} > $2`,
    ])
    const sql = `SELECT ${table.id}::text AS id FROM ${table.aliased} WHERE ${where} ORDER BY ${table.id} LIMIT $1`
    const bind = after === undefined ? [limit] : [limit, after]
    const found = await rows<{ id: string }>(table.sequelize, sql, bind, transaction)
    return found.map(({ id }) => id)
  }
}
