// The order that a call is about, given as an instance or as an id: its id as canonical text.

import { types } from 'node:util'
import type { Model, ModelStatic } from 'sequelize'
import { OrderTimersError, show } from '../errors.js'
import { NAMES } from '../ids.js'
import { isModel } from '../rows/model-source.js'
import type { ShopRule } from '../rules/rule.js'
import { isSameDatabase } from '../sequelize/same-database.js'
import type { AnyModel } from '../sequelize/sql.js'
import { storedValue } from '../sequelize/values.js'
import type { OrderOrId } from '../types.js'

/**
 * @param where the beginning of the error
 * @throws OrderTimersError INVALID_ID if it is no id of the model's type, and if it is an instance of another model
 */
export function idOf(rule: ShopRule, order: OrderOrId, where = rule.kind): string {
  return orderOf(rule, order, where).id
}

/** The same, with the instance where one was given. */
export function orderOf(rule: ShopRule, order: OrderOrId, where = rule.kind): { id: string; instance: Model | undefined } {
  const { model } = rule.row?.guard.table ?? {}
  const instance = isInstance(order, model) ? order : undefined
  const isOther = instance !== undefined && model !== undefined && !isSameModel(model, modelOf(instance))
  const id = isOther ? null : rule.parseId(instance ? storedValue(instance, modelOf(instance).primaryKeyAttribute) : order)
  if (id === null) throw invalidId(where, order, rule)
  return { id, instance }
}

/** Whether an instance is of the rule's model. True for plain ids, and for rules without a model. */
export function isAbout(rule: ShopRule, order: OrderOrId): boolean {
  return !isInstance(order) || !rule.row || isSameModel(rule.row.guard.table.model, modelOf(order))
}

export function plainId(order: OrderOrId): unknown {
  return isInstance(order) ? storedValue(order, modelOf(order).primaryKeyAttribute) : order
}

export function invalidId(where: string, order: OrderOrId, rule?: ShopRule): OrderTimersError {
  const { table } = rule?.row?.guard ?? {}
  const expected = table ? `an id of ${table.model.name}.${table.idAttribute}'s type, or an instance of ${table.model.name}` : 'an id'
  const remedy = table?.idType.sort === 'text' ? `; ids that are text must be ${NAMES}` : ''
  return new OrderTimersError('INVALID_ID', `orderTimers: ${where}: the order must be ${expected}, got ${shown(order, rule)}${remedy}`)
}

/**
 * Whether this is an instance of a Sequelize model, of any copy of Sequelize. Runs no code of the value, so a proxy is not accepted.
 * @param expected a model whose instances are known without looking further
 */
export function isInstance(order: unknown, expected?: AnyModel): order is Model {
  if (order === null || typeof order !== 'object' || types.isProxy(order)) return false
  const prototype: unknown = Object.getPrototypeOf(order)
  if (expected !== undefined && prototype === expected.prototype) return true
  if (prototype === null || types.isProxy(prototype)) return false
  const model: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  return !types.isProxy(model) && isModel(model) && typeof model.primaryKeyAttribute === 'string'
}

/** Any other text may contain a whole row. */
const LIKE_AN_ID = /^(?:\d+|[^@{}[\]]{0,40})$/s

/** Shows an instance by its model, and by its id only if it is of the rule's model: another model's key may be an address. */
function shown(order: OrderOrId, rule: ShopRule | undefined): string {
  if (typeof order === 'string' && !LIKE_AN_ID.test(order)) return `a text of ${order.length} characters that looks like no id`
  if (!isInstance(order)) return show(order)
  const { name } = modelOf(order)
  if (rule !== undefined && isAbout(rule, order)) return `an instance of ${name} with the id ${show(plainId(order))}`
  if (rule?.row?.guard.table.model.name !== name) return `an instance of ${name}`
  return `an instance of an ${name} of another database or table; pass its id if it is the same order`
}

function modelOf(order: Model): ModelStatic<Model> {
  return order.constructor as ModelStatic<Model>
}

/** Sequelize makes a class for each scope of a model. Another Sequelize may have another database, that of another tenant. */
function isSameModel(a: AnyModel, b: AnyModel): boolean {
  if (a === b) return true
  return a.name === b.name && String(a.getTableName()) === String(b.getTableName()) && isSameDatabase(a.sequelize, b.sequelize)
}
