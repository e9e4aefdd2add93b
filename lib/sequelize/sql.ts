// A model as SQL: its quoted table and columns, and a `where` or a value, rendered once by Sequelize's own query generator. Everything that
// varies at run time is bound, never rendered.

import type { Model, ModelStatic, Sequelize, WhereOptions } from 'sequelize'
import { classOf, generatorOf as generatorOfSequelize, type QueryGenerator } from './internals.js'

/** An attribute as Sequelize keeps it after `init`. */
export interface AttributeInfo {
  name: string
  /** The column's name, unquoted. */
  field: string
  type: { key: string; values?: readonly string[] }
}

// biome-ignore lint/suspicious/noExplicitAny: any model of the shop's
export type AnyModel = ModelStatic<Model<any, any>> & { sequelize?: Sequelize }

/** A column's value in SQL: a literal by its attribute's type, or an expression such as `fn('now')`. `$` is doubled for the binder. */
export function valueSql(model: AnyModel, attribute: string, value: unknown): string {
  return forBinding(expressionsOf(model).escape(value, model.getAttributes()[attribute], { context: 'UPDATE' }))
}

/** Whether a value is an expression, such as `literal(…)` or `fn(…)`, by the shop's own copy of Sequelize. */
export function isExpression(model: AnyModel, value: unknown): boolean {
  return value instanceof classOf(sequelizeOf(model)).Utils.SequelizeMethod
}

/** A `where` over columns as a WHERE clause, for a statement that binds nothing. */
export function whereClause(model: AnyModel, where: unknown): string {
  return expressionsOf(model).whereQuery(where, { model })
}

/** A text as a literal. */
export function textSql(model: AnyModel, text: string): string {
  return forBinding(generatorOf(model).escape(text, undefined, { context: 'UPDATE' }))
}

/** A `where` over columns as SQL over those of `alias`. */
export function columnsWhereSql(model: AnyModel, where: WhereOptions, alias: string): string {
  return forBinding(expressionsOf(model).getWhereConditions(where, alias, model) ?? '')
}

/** A column's name in Postgres: with `quoteIdentifiers: false` it is folded to lower case. */
export function storedName(model: AnyModel, field: string): string {
  return generatorOf(model).quoteIdentifier(field).startsWith('"') ? field : field.toLowerCase()
}

export function quoteColumn(model: AnyModel, field: string): string {
  return forBinding(generatorOf(model).quoteIdentifier(field))
}

/** The model's table, or another one in the same schema. */
export function quoteTable(model: AnyModel, tableName?: string): string {
  const own = model.getTableName() as string | { schema?: string; delimiter?: string }
  if (tableName === undefined) return forBinding(generatorOf(model).quoteTable(own))
  return forBinding(generatorOf(model).quoteTable(typeof own === 'string' ? tableName : { ...own, tableName }))
}

/** A table, as Sequelize has it, quoted. */
export function tableSql(model: AnyModel, table: unknown): string {
  return generatorOf(model).quoteTable(table)
}

export function attributeInfo(model: AnyModel, name: string): AttributeInfo | undefined {
  const found = model.getAttributes()[name]
  if (found === undefined) return undefined
  return {
    name,
    field: found.field ?? name,
    type: found.type as unknown as AttributeInfo['type'],
  }
}

/** The table and the column, as SQL, that an attribute refers to according to the model (`references`, `belongsTo`). */
export function referenceOf(model: AnyModel, attribute: string): { table: string; key: string } | undefined {
  const { references } = (model.getAttributes()[attribute] ?? {}) as { references?: string | { model?: unknown; key?: string } }
  if (references === undefined) return undefined
  const { model: referred, key = 'id' } = typeof references === 'string' ? { model: references } : references
  const table = typeof referred === 'function' ? (referred as AnyModel).getTableName() : referred
  if (table === undefined) return undefined
  const generator = generatorOf(model)
  return { table: generator.quoteTable(table), key: generator.quoteIdentifier(key) }
}

export function sequelizeOf(model: AnyModel): Sequelize {
  return model.sequelize as Sequelize
}

/** How many connections the model's pool may have; 5 is Sequelize's default. */
export function poolSize(model: AnyModel): number {
  return sequelizeOf(model).config.pool?.max ?? 5
}

/** Our own SQL for a statement that binds nothing, so Sequelize's binder does not read it. */
export function withoutBinding(sql: string): string {
  return sql.replaceAll('$$', () => '$')
}

function generatorOf(model: AnyModel): QueryGenerator {
  return generatorOfSequelize(sequelizeOf(model))
}

/** A generator that renders the texts within `fn(…)` as they are: Sequelize's own doubles a `$` in them for its binder, 6.21 only the first. */
function expressionsOf(model: AnyModel): QueryGenerator {
  const generator = generatorOf(model)
  const literal = (text: unknown) => (typeof text === 'string' ? sequelizeOf(model).literal(generator.escape(text)) : text)
  const withLiterals = (expression: object) => {
    const { fn, args } = expression as { fn?: unknown; args?: unknown }
    if (fn === undefined || !Array.isArray(args)) return expression
    return Object.assign(Object.create(Object.getPrototypeOf(expression)), expression, { args: args.map(literal) }) as object
  }
  const handleSequelizeMethod: QueryGenerator['handleSequelizeMethod'] = function (this: QueryGenerator, expression, ...more) {
    return generator.handleSequelizeMethod.call(this, withLiterals(expression), ...more)
  }
  return Object.create(generator, { handleSequelizeMethod: { value: handleSequelizeMethod } }) as QueryGenerator
}

/**
 * Sequelize's binder takes `$1` for a parameter even inside quotes; `$$` is its escape. It ignores a `$` directly after a letter or a digit,
 * and there the escape would be taken for a parameter.
 */
function forBinding(sql: string): string {
  return sql.replace(/\B\$/g, '$$$$')
}
