// For `after` as a function: the orders that a bulk statement is about to move are read and locked, and the function is called for each of them,
// with the values that the statement will write.

import type { Model, Transaction } from 'sequelize'
import { clockOnce, type From } from '../rows/after.js'
import { instantOfMsSql, intervalSql } from '../rows/instant-sql.js'
import { orderRows } from '../sequelize/database.js'
import { isExpression, whereClause, withoutBinding } from '../sequelize/sql.js'
import { storedValue } from '../sequelize/values.js'
import { type AutoRule, afterSql, type FreshSql, type Values } from './rule.js'

/**
 * @param where that of the statement, by column
 * @param values what the statement writes, by column; `after` is called with the order as it will be
 */
export async function freshByOrder(
  rules: readonly AutoRule[],
  where: unknown,
  values: Values,
  transaction: Transaction,
): Promise<Map<AutoRule, FreshSql>> {
  const { table } = (rules[0] as AutoRule).row.guard
  const sql = `SELECT * FROM ${withoutBinding(table.table)} ${whereClause(table.model, where)} FOR NO KEY UPDATE`
  const found = await orderRows<Record<string, unknown>>(table.sequelize, sql, undefined, transaction)
  const written = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && !isExpression(table.model, value)))
  const orders = found.map((row) => ({ before: table.instance(row), after: table.instance({ ...row, ...written }) }))
  const from = clockOnce(table.sequelize, transaction)
  const all = new Map<AutoRule, FreshSql>()
  for (const rule of rules) all.set(rule, await deadlineByOrder(rule, orders, from))
  return all
}

/** The deadline by id; NULL for orders without one, and for those already in `from`, which keep theirs. */
async function deadlineByOrder(rule: AutoRule, orders: { before: Model; after: Model }[], from: From): Promise<FreshSql> {
  const { table } = rule.row.guard
  const [afterMs, atMs] = [new Map<string, number>(), new Map<string, number>()]
  for (const { before, after } of orders) {
    const id = rule.rule.parseId(storedValue(before, table.idAttribute))
    if (id === null || rule.isFrom(storedValue(before, rule.status.name))) continue
    const given = await rule.afterOf?.ask(after, from)
    if (!given) continue
    if ('atMs' in given) atMs.set(id, given.atMs)
    else afterMs.set(id, given.afterMs)
  }
  // As JSON, in which Postgres finds an id by binary search: each order may have a different deadline.
  const ofOrder = (found: Map<string, number>) => {
    const json = table.literal(JSON.stringify(Object.fromEntries(found)))
    return `(${json}::jsonb ->> ${table.bareColumn(table.idAttribute)}::text)::float8`
  }
  const given = [
    ...(atMs.size > 0 ? [instantOfMsSql(ofOrder(atMs))] : []),
    ...(afterMs.size > 0 ? [afterSql(intervalSql(ofOrder(afterMs)))] : []),
  ]
  return given.length > 1 ? `coalesce(${given.join(', ')})` : (given[0] ?? null)
}
