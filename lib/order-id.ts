// The order that a call is about, given as an instance or as an id, turned into its id's canonical text.

import type { Model, ModelStatic } from 'sequelize'
import { OrderTimersError, show } from './errors.js'
import { NAMES } from './ids.js'
import type { BoundRule } from './rules/rule.js'
import type { AnyModel } from './rules/sequelize-sql.js'
import type { OrderOrId } from './types.js'

/** @throws OrderTimersError INVALID_ID for what is no id of the model's type, and for an instance of another model */
export function idOf(rule: BoundRule, order: OrderOrId): string {
  const id = isAbout(rule, order) ? rule.parseId(plainId(order)) : null
  if (id !== null) return id
  throw invalidId(rule.kind, order, rule)
}

/** Whether an instance is of the rule's model. Plain ids, and rules without a model, take anything. */
export function isAbout(rule: BoundRule, order: OrderOrId): boolean {
  return !isInstance(order) || !rule.row || isSameModel(rule.row.guard.table.model, modelOf(order))
}

export function plainId(order: OrderOrId): unknown {
  return isInstance(order) ? order.get(modelOf(order).primaryKeyAttribute) : order
}

export function invalidId(kind: string, order: OrderOrId, rule?: BoundRule): OrderTimersError {
  const { table } = rule?.row?.guard ?? {}
  const expected = table ? `an id of ${table.model.name}.${table.idAttribute}'s type, or an instance of ${table.model.name}` : 'an id'
  const remedy = table?.hasTextIds ? `; ids that are text must be ${NAMES}` : ''
  return new OrderTimersError('INVALID_ID', `orderTimers: ${kind}: the order must be ${expected}, got ${shown(order)}${remedy}`)
}

export function isInstance(order: unknown): order is Model {
  return order !== null && typeof order === 'object' && typeof (order as { get?: unknown }).get === 'function'
}

/** An instance by its model and id alone: its row may say what no log should. */
function shown(order: OrderOrId): string {
  return isInstance(order) ? `an instance of ${modelOf(order).name} with the id ${show(plainId(order))}` : show(order)
}

function modelOf(order: Model): ModelStatic<Model> {
  return order.constructor as ModelStatic<Model>
}

/** Sequelize makes a class of its own for each scope of a model. */
function isSameModel(a: AnyModel, b: AnyModel): boolean {
  return a.name === b.name && String(a.getTableName()) === String(b.getTableName())
}
