// With `auto`, an order whose status Postgres itself fills in gets no timer: the column has a DEFAULT, the model has no `defaultValue`, and so the
// INSERT does not name the column. If that status is in `from`, or may be, the check of the rule reports it.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { isDatabaseTrouble } from '../sequelize/fault-owner.js'
import { booleanOf } from '../sequelize/values.js'
import type { SettledRows } from './row-rule.js'

interface StatusDefault {
  expression: string
  /** Whether its value may differ each time, or reading it changes something (`nextval`). */
  varies: unknown
}

/**
 * Runs last on this transaction: a DEFAULT that raises an error aborts it.
 * @returns what is wrong, as text; empty if the model has a default status, or that is not in `from`
 */
export async function lookAtStatusDefault(row: SettledRows, transaction: Transaction): Promise<string[]> {
  const { guard, move } = row
  const { table } = guard
  if (!move?.auto || table.model.getAttributes()[move.status]?.defaultValue !== undefined) return []
  const { field, name } = table.attribute('"status"', move.status)
  const [found] = await rows<StatusDefault>(table.sequelize, DEFAULT, [table.tableText, field], transaction)
  if (!found) return []
  const isIn = booleanOf(found.varies) === true ? undefined : await isInFrom(row, move.status, found.expression, transaction)
  if (isIn === false) return []
  return [
    `"auto": the column "${field}" of ${table.tableText} has the DEFAULT ${found.expression}, which ${isIn ? 'is' : 'may be'} in "from", and the model has no defaultValue for ${name}; an order that is created without it gets no timer; give the attribute the same defaultValue`,
  ]
}

/** @returns undefined if this user may not evaluate it, or it raises an error */
async function isInFrom(
  { guard }: SettledRows,
  status: string,
  expression: string,
  transaction: Transaction,
): Promise<boolean | undefined> {
  const { table, from } = guard
  const sql = `SELECT (${table.isAmong(`(${expression.replaceAll('$', '$$$$')})`, status, from)})::int AS "isIn"`
  try {
    const [value] = await rows<{ isIn: number | string | null }>(table.sequelize, sql, [], transaction)
    return Number(value?.isIn) === 1
  } catch (error) {
    if (isDatabaseTrouble(error)) throw error
    return undefined
  }
}

/** From the column, otherwise from its domain. The result of a volatile function is unknown. */
const DEFAULT = `SELECT expression, EXISTS (SELECT FROM regexp_matches(tree, ':funcid (\\d+)', 'g') AS called JOIN pg_proc p ON p.oid = called[1]::oid
  WHERE p.provolatile = 'v') AS varies
FROM (SELECT coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0)) AS expression, coalesce(d.adbin, t.typdefaultbin)::text AS tree
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass($1) AND a.attname = $2 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = '') AS given
WHERE expression IS NOT NULL`
