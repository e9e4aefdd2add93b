// Where `after` is a function: the orders that a bulk statement is about to move are read and locked, and the function is called for each of them,
// with the values that the statement will write.

import type { Model, Transaction } from 'sequelize'
import { intervalSql } from '../rows/instant-sql.js'
import { orderRows } from '../sequelize/database.js'
import { isExpression, whereClause, withoutBinding } from '../sequelize/sql.js'
import { storedValue } from '../sequelize/values.js'
import type { AfterSql, AutoRule, Values } from './rule.js'

/**
 * @param where that of the statement, by column
 * @param values what the statement writes, by column; `after` is called with the order as it will be
 */
export async function afterByOrder(
  rules: readonly AutoRule[],
  where: unknown,
  values: Values,
  transaction: Transaction,
): Promise<Map<AutoRule, AfterSql>> {
  const { table } = (rules[0] as AutoRule).row.guard
  const sql = `SELECT * FROM ${withoutBinding(table.table)} ${whereClause(table.model, where)} FOR NO KEY UPDATE`
  const found = await orderRows<Record<string, unknown>>(table.sequelize, sql, undefined, transaction)
  const written = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && !isExpression(table.model, value)))
  const orders = found.map((row) => ({ before: table.instance(row), after: table.instance({ ...row, ...written }) }))
  return new Map(rules.map((rule) => [rule, intervalByOrder(rule, orders)]))
}

/** The interval by id; NULL for orders without a deadline, and for those in `from` already, which keep theirs. */
function intervalByOrder(rule: AutoRule, orders: { before: Model; after: Model }[]): AfterSql {
  const { table } = rule.row.guard
  const ids = new Map<number, string[]>()
  for (const { before, after } of orders) {
    const id = rule.rule.parseId(storedValue(before, table.idAttribute))
    const afterMs = id === null || rule.isFrom(storedValue(before, rule.status.name)) ? null : (rule.afterOf?.(after) ?? null)
    if (afterMs !== null) ids.set(afterMs, [...(ids.get(afterMs) ?? []), id as string])
  }
  const cases = [...ids].map(([afterMs, some]) => {
    const list = table.literal(`{${some.map((id) => `"${id}"`).join(',')}}`)
    return `WHEN ${table.bareColumn(table.idAttribute)} = ANY (${list}) THEN ${intervalSql(afterMs)}`
  })
  return cases.length === 0 ? null : `CASE ${cases.join(' ')} END`
}
