// Checks the shop's `where` before Sequelize renders it: whether Sequelize reads all of it, and its attributes as columns. What Sequelize does not
// know, it drops or turns into text (up to 6.28 the whole `where` becomes `1=1`), and then the condition would hold for every order.

import { types } from 'node:util'
import type { WhereOptions } from 'sequelize'
import { show } from '../errors.js'
import { generatorOf } from './internals.js'
import { type AnyModel, attributeInfo, columnsWhereSql, isExpression, sequelizeOf } from './sql.js'

/** Operators whose operand is not a value, but an object of any form. */
const OBJECTS = new Set(['JSON', 'JSONB', 'HSTORE'])

/** The SQL that Sequelize makes of an empty list of conditions. */
const EVERY_ROW = '1=1'

/**
 * A `where` over attributes as SQL over the columns of `alias`; an empty text if it has no condition.
 * @throws TypeError if Sequelize would not read all of it
 */
export function whereSql(model: AnyModel, where: WhereOptions | undefined, alias: string): string {
  const problem = unreadable(model, where)
  if (problem !== undefined) throw new TypeError(problem)
  const sql = where === undefined ? '' : columnsWhereSql(model, withColumns(where, model) as WhereOptions, alias)
  return sql === EVERY_ROW ? '' : sql
}

/** @returns as text, what Sequelize cannot read of a `where`; undefined if it reads all of it */
function unreadable(model: AnyModel, where: unknown): string | undefined {
  if (typeof where === 'object' || where === undefined) return unreadableCondition(model, where)
  return `it is ${show(where)}`
}

/** @returns as text, why a value that is compared with or written to a column would become text such as '[object Object]'; undefined if it would not */
export function unreadableValue(model: AnyModel, column: string, value: unknown): string | undefined {
  const type = attributeInfo(model, column)?.type.key
  return type !== undefined && OBJECTS.has(type) ? undefined : unreadablePart(model, value)
}

function unreadablePart(model: AnyModel, value: unknown): string | undefined {
  if (Array.isArray(value)) return first(value, (one) => unreadablePart(model, one))
  if (typeof value === 'function' || typeof value === 'symbol') return `a value is ${show(value)}`
  if (typeof value !== 'object' || value === null) return undefined
  if (isExpression(model, value)) {
    const { args, val, logic } = value as { args?: unknown; val?: unknown; logic?: unknown }
    return first([args, val, logic], (part) => unreadablePart(model, part))
  }
  if (isPlain(value)) return first(Reflect.ownKeys(value), (key) => unreadablePart(model, (value as Record<PropertyKey, unknown>)[key]))
  return hasText(value) ? undefined : `a value is ${notKnown(value)}`
}

/** Replaces attribute names by column names, as Sequelize's own finders do. Operators stay. */
function withColumns(where: unknown, model: AnyModel): unknown {
  if (Array.isArray(where)) return where.map((part) => withColumns(part, model))
  if (!isPlain(where)) return where
  return Object.fromEntries(
    Reflect.ownKeys(where).map((key) => {
      const value = (where as Record<PropertyKey, unknown>)[key]
      if (typeof key === 'symbol') return [key, withColumns(value, model)]
      const attribute = attributeInfo(model, key)
      return attribute === undefined ? [key, withColumns(value, model)] : [attribute.field, value]
    }),
  )
}

/** A key such as `$user.isPaid$`, at any depth of and/or/not, which names a column of a table that is not joined here. */
export function joinedColumn(model: AnyModel, where: unknown): string | undefined {
  if (Array.isArray(where)) return first(where, (part) => joinedColumn(model, part))
  if (!isPlain(where)) return undefined
  return first(Reflect.ownKeys(where), (key) => {
    if (typeof key === 'string' && /^\$.+\..+\$$/.test(key) && !key.startsWith(`$${model.name}.`)) return key
    const isAttribute = typeof key === 'string' && attributeInfo(model, key) !== undefined
    return isAttribute ? undefined : joinedColumn(model, (where as Record<PropertyKey, unknown>)[key])
  })
}

/** Sequelize drops undefined, null and false among conditions, and shops use that: `[Op.and]: [isAbroad && { … }]`. */
function unreadableCondition(model: AnyModel, where: unknown): string | undefined {
  if (where === undefined || where === null || where === false) return undefined
  if (Array.isArray(where)) return first(where, (part) => unreadableCondition(model, part))
  if (isExpression(model, where)) return unreadablePart(model, where)
  if (!isPlain(where)) return `a condition is ${typeof where === 'object' ? notKnown(where) : show(where)}`
  return first(Reflect.ownKeys(where), (key) => {
    const value = (where as Record<PropertyKey, unknown>)[key]
    if (isGroup(model, key)) return unreadableCondition(model, value)
    return typeof key === 'string' ? unreadableValue(model, key, value) : unreadablePart(model, value)
  })
}

/** An operator over whole conditions, also by the shop's alias (`operatorsAliases`). */
function isGroup(model: AnyModel, key: string | symbol): boolean {
  const { OperatorsAliasMap: aliases } = generatorOf(sequelizeOf(model))
  const operator = typeof key === 'string' && aliases ? aliases[key] : key
  return operator === GROUPS.and || operator === GROUPS.or || operator === GROUPS.not
}

/** `Op.and`, `Op.or` and `Op.not` of every copy of Sequelize. */
const GROUPS = { and: Symbol.for('and'), or: Symbol.for('or'), not: Symbol.for('not') }

/** A plain object, also one without a prototype; not an instance of Sequelize's classes. */
function isPlain(value: unknown): value is object {
  if (value === null || typeof value !== 'object') return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Dates, bytes, and objects such as Moment's or Decimal's, which have their own text form. */
function hasText(value: object): boolean {
  return types.isDate(value) || ArrayBuffer.isView(value) || value.toString !== Object.prototype.toString
}

function notKnown(value: object): string {
  return `${show(value)}, which this copy of Sequelize does not know`
}

function first<Part>(parts: readonly Part[], find: (part: Part) => string | undefined): string | undefined {
  for (const part of parts) {
    const found = find(part)
    if (found !== undefined) return found
  }
  return undefined
}
