// The columns of an orders' table as Postgres has them, under the connection's own search path.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { booleanOf } from '../sequelize/values.js'
import type { OrderTable } from './order-table.js'

export interface Column {
  name: string
  type: string
  /** The base type, if it is a domain. */
  baseType: string
  isView: boolean
  /** Whether it refuses NULL. */
  isRequired: boolean
}

/** By attribute name; empty if the table does not exist. Takes no lock on the table. */
export async function columnsOf(table: OrderTable, transaction: Transaction): Promise<Map<string, Column>> {
  const found = await rows<Column>(table.sequelize, SQL, [table.tableText], transaction)
  const columns = new Map(
    found.map((column) => [
      column.name,
      { ...column, isView: booleanOf(column.isView) === true, isRequired: booleanOf(column.isRequired) === true },
    ]),
  )
  return new Map(
    table.columnNames.flatMap(([attribute, name]) => {
      const column = columns.get(name)
      return column ? [[attribute, column] as const] : []
    }),
  )
}

const SQL = `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, c.relkind IN ('v', 'm') AS "isView", a.attnotnull AS "isRequired",
  (WITH RECURSIVE beneath AS (
    SELECT t.oid, t.typbasetype, t.typtypmod FROM pg_type t WHERE t.oid = a.atttypid
    UNION ALL SELECT t.oid, t.typbasetype, t.typtypmod FROM beneath b JOIN pg_type t ON t.oid = b.typbasetype
  ) SELECT format_type(beneath.oid, NULL) FROM beneath WHERE typbasetype = 0) AS "baseType"
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`
