// The selection of a run's orders: attributes with a value or a list of values. It is stored as JSON, which has neither Sequelize's operators nor
// expressions, and is rendered by the attributes' types, so that no stored text becomes SQL.

import { OrderTimersError, show } from '../errors.js'
import { valueSql } from '../sequelize/sql.js'
import { allOf, type Condition } from './conditions.js'
import type { OrderTable } from './order-table.js'

export type RunValue = string | number | boolean | null

/** By attribute; empty: all orders that the rule applies to. */
export type RunWhere = Record<string, RunValue | RunValue[]>

/** The longest list of values. */
const MOST_VALUES = 1_000

/**
 * @param where from the caller, or as it was stored
 * @throws OrderTimersError INVALID_WHERE for an unknown attribute, an operator, or a value that the attribute's type cannot hold
 */
export function parseRunWhere(kind: string, table: OrderTable, where: unknown): RunWhere {
  const isPlain =
    where !== null && typeof where === 'object' && !Array.isArray(where) && Object.getPrototypeOf(Object(where)) === Object.prototype
  if (!isPlain) throw invalid(kind, `"where" must be an object of attributes and values, such as { country: 'TW' }, got ${show(where)}`)
  const [symbol] = Object.getOwnPropertySymbols(where)
  if (symbol) throw invalid(kind, `"where" has the operator ${String(symbol)}; it takes attributes with a value or a list of values alone`)
  const parsed: RunWhere = {}
  for (const [name, value] of Object.entries(where)) {
    const type = attributeType(kind, table, name)
    if (!Array.isArray(value)) parsed[name] = parseValue(kind, name, type, value)
    else if (value.length >= 1 && value.length <= MOST_VALUES) parsed[name] = value.map((one) => parseValue(kind, name, type, one))
    else throw invalid(kind, `"where": the list of ${show(name)} must have from 1 to ${MOST_VALUES} values, it has ${value.length}`)
  }
  return parsed
}

export function runWhereSql(table: OrderTable, where: RunWhere): Condition {
  const conditions = Object.entries(where).map(([name, given]) => {
    const values = Array.isArray(given) ? given : [given]
    const column = table.column(name)
    const some = values.filter((value) => value !== null)
    const among = some.length > 0 ? `${column} IN (${some.map((value) => valueSql(table.model, name, value)).join(', ')})` : undefined
    const isNull = some.length < values.length ? `${column} IS NULL` : undefined
    return `(${[among, isNull].filter(Boolean).join(' OR ')})`
  })
  return conditions.length === 0 ? undefined : allOf(conditions)
}

type AttributeType = { key: string; values?: readonly string[] }

function attributeType(kind: string, table: OrderTable, name: string): AttributeType {
  const attributes = table.model.getAttributes()
  if (!Object.hasOwn(attributes, name)) {
    const known = Object.keys(attributes).join(', ')
    throw invalid(kind, `"where" names ${show(name)}, which is no attribute of ${table.model.name}; its attributes are ${known}`)
  }
  const { type } = table.attribute('"where"', name)
  if (Object.hasOwn(SHAPES, type.key) || TEXTS.has(type.key) || type.key === 'ENUM' || type.key === 'BOOLEAN' || type.key === 'DATE')
    return type
  throw invalid(kind, `"where" names ${show(name)}, which is ${type.key}; it takes numbers, texts, dates, booleans, UUIDs and ENUMs`)
}

/** The form of a value's text. */
const SHAPES: Record<string, RegExp> = {
  ...Object.fromEntries(['INTEGER', 'BIGINT', 'SMALLINT', 'TINYINT', 'MEDIUMINT'].map((key) => [key, /^-?\d{1,19}$/])),
  ...Object.fromEntries(['DECIMAL', 'FLOAT', 'REAL', 'DOUBLE PRECISION', 'DOUBLE'].map((key) => [key, /^-?\d{1,40}(?:\.\d{1,40})?$/])),
  ...Object.fromEntries(['UUID', 'UUIDV4', 'UUIDV1'].map((key) => [key, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i])),
  DATEONLY: /^\d{4}-\d\d-\d\d$/,
}

const TEXTS: ReadonlySet<string> = new Set(['STRING', 'TEXT', 'CHAR', 'CITEXT'])

function parseValue(kind: string, name: string, { key, values }: AttributeType, value: unknown): RunValue {
  if (value === null) return null
  const refuse = (wanted: string) => invalid(kind, `"where": ${show(name)} is ${key} and takes ${wanted}, got ${show(value)}`)
  if (key === 'DATE') {
    const date = value instanceof Date || typeof value === 'string' || typeof value === 'number' ? new Date(value) : new Date(Number.NaN)
    if (Number.isNaN(date.getTime())) throw refuse('an instant')
    return date.toISOString()
  }
  if (key === 'BOOLEAN') {
    if (value === true || value === 'true') return true
    if (value === false || value === 'false') return false
    throw refuse('true or false')
  }
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') throw refuse('a value or a list of values')
  const text = String(value)
  if (text.includes('\0')) throw refuse('a text without NUL')
  if (key === 'ENUM' && !values?.includes(text)) throw refuse(`one of ${values?.map(show).join(', ')}`)
  if (SHAPES[key] && !SHAPES[key].test(text)) throw refuse('a value of that type')
  return text
}

function invalid(kind: string, message: string): OrderTimersError {
  return new OrderTimersError('INVALID_WHERE', `orderTimers: ${kind}: ${message}`)
}
