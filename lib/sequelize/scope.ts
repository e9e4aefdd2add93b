// A model's scopes and its "not deleted" condition, as Sequelize reads them. A scope that the shop has chosen (`Order.scope('online')`) is a condition of
// the rule; the default scope is not.

import type { Model, ModelStatic, WhereOptions } from 'sequelize'
import type { ScopedModel } from './internals.js'

/** The supported options of a scope. */
const CONDITIONS = ['where', 'paranoid']

/** The condition of the scope that the shop has chosen; undefined if it has chosen none. */
export function chosenWhere(model: ModelStatic<Model>): WhereOptions | undefined {
  return chosenScope(model).where as WhereOptions | undefined
}

/** @returns as text, what a chosen scope has besides a condition; undefined if it has nothing else */
export function unfitScope(model: ModelStatic<Model>): string | undefined {
  const others = Object.entries(chosenScope(model)).filter(([name, value]) => !CONDITIONS.includes(name) && !isNothing(value))
  if (others.length === 0) return undefined
  const names = others.map(([name]) => `"${name}"`).join(', ')
  const remedy = `give the rule a scope with a "where" alone, or ${model.name}.unscoped() and the condition as the rule's own "where"`
  return `the scope of ${model.name} has ${names}, which are no condition on one row; ${remedy}`
}

/** The condition "not deleted" over columns, with the default of `deletedAt` if it has one; undefined if every row counts. */
export function notDeletedWhere(model: ModelStatic<Model>): WhereOptions | undefined {
  return (model as ScopedModel)._paranoidClause(model, { paranoid: chosenScope(model).paranoid !== false }).where
}

/** The class of the instances: without a default scope, because `reload` would not find orders that the scope excludes. */
export function classOfInstances(model: ModelStatic<Model>): ModelStatic<Model> {
  const { scoped, _scope } = model as ScopedModel
  return scoped || Object.keys(_scope ?? {}).length === 0 ? model : model.unscoped()
}

/** The model that a class of Sequelize's scopes was made of. */
export function withoutScopes(model: unknown): unknown {
  let base = model
  while (typeof base === 'function' && Object.hasOwn(base, 'scoped')) base = Object.getPrototypeOf(base)
  return base
}

function chosenScope(model: ModelStatic<Model>): Record<string, unknown> {
  const { scoped, _scope } = model as ScopedModel
  return scoped && _scope ? _scope : {}
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === false || (Array.isArray(value) && value.length === 0)
}
