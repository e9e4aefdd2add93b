// A rule's model as SQL: the table, the columns that the rule names, the ids and the statuses, all checked when the rule is bound.
// Attribute names may differ from column names. A scope that the shop has chosen applies, and so does `paranoid`; a default scope does not.

import type { Model, WhereOptions } from 'sequelize'
import { OrderTimersError, show } from '../errors.js'
import type { IdParser } from '../ids.js'
import { surviveLostConnections } from '../sequelize/database.js'
import { chosenWhere, classOfInstances, notDeletedWhere, unfitScope } from '../sequelize/scope.js'
import {
  type AnyModel,
  type AttributeInfo,
  attributeInfo,
  columnsWhereSql,
  quoteColumn,
  quoteTable,
  sequelizeOf,
  storedName,
  textSql,
  valueSql,
  withoutBinding,
} from '../sequelize/sql.js'
import { unreadableValue, whereSql } from '../sequelize/where.js'
import type { Condition } from './conditions.js'
import { type IdType, idTypeOf } from './id-type.js'
import { initialisedModel, type ModelSource } from './model-source.js'

export class OrderTable {
  readonly table: string
  readonly idAttribute: string
  readonly idType: IdType
  private readonly instances: AnyModel
  /** Each attribute with its column, as Postgres names it. */
  readonly columnNames: readonly (readonly [string, string])[]

  private constructor(
    private readonly rule: string,
    readonly model: AnyModel,
  ) {
    const id = this.attribute('primary key', this.primaryKey())
    this.idAttribute = id.name
    this.idType = this.idTypeOf(id)
    this.table = quoteTable(model)
    const attributes = Object.entries(model.getAttributes())
    this.columnNames = attributes.map(([name, { field = name }]) => [name, storedName(model, field)])
    this.instances = classOfInstances(model) as AnyModel
  }

  /** @throws OrderTimersError INVALID_MODEL if there is no initialised model behind `source` */
  static of(kind: string, source: ModelSource<Model>): OrderTable {
    const table = new OrderTable(`rule "${kind}"`, initialisedModel(`rule "${kind}"`, source))
    const unfit = unfitScope(table.model)
    if (unfit !== undefined) throw table.invalid(unfit)
    surviveLostConnections(table.sequelize)
    return table
  }

  /** The quoted table, for bind parameters and messages. */
  get tableText(): string {
    return withoutBinding(this.table)
  }

  /** The table under its alias, for FROM and UPDATE. */
  get aliased(): string {
    return `${this.table} AS ${this.alias}`
  }

  /**
   * The table's alias in every statement, quoted: the model's name, as in Sequelize's own queries, so that a literal in a rule's `where` may use
   * it.
   */
  get alias(): string {
    return quoteColumn(this.model, this.model.name)
  }

  /** The id's column with the alias. */
  get id(): string {
    return this.column(this.idAttribute)
  }

  /** Turns an id into its canonical text. */
  get parseId(): IdParser {
    return this.idType.parse
  }

  get sequelize() {
    return sequelizeOf(this.model)
  }

  /** A column with the table's alias, quoted. */
  column(attribute: string): string {
    return `${this.alias}.${this.bareColumn(attribute)}`
  }

  /** A column for the left side of SET. */
  bareColumn(attribute: string): string {
    return quoteColumn(this.model, this.attribute('attribute', attribute).field)
  }

  /** @throws OrderTimersError INVALID_MODEL if the model has no such attribute */
  attribute(option: string, name: string): AttributeInfo {
    const info = attributeInfo(this.model, name)
    if (info !== undefined) return info
    const known = Object.keys(this.model.getAttributes()).join(', ')
    throw this.invalid(`${option} names the attribute ${show(name)}, which ${this.model.name} does not have; its attributes are ${known}`)
  }

  /** @throws OrderTimersError INVALID_MODEL unless the attribute is a point in time */
  instant(option: string, name: string): AttributeInfo {
    const info = this.attribute(option, name)
    if (info.type.key === 'DATE') return info
    throw this.invalid(`${option} must name an attribute of type DATE (timestamp with time zone), but ${show(name)} is ${info.type.key}`)
  }

  /** @throws OrderTimersError INVALID_MODEL unless the attribute holds whole numbers */
  wholeNumber(option: string, name: string): AttributeInfo {
    const info = this.attribute(option, name)
    if (info.type.key === 'BIGINT' || info.type.key === 'INTEGER') return info
    throw this.invalid(`${option} must name an attribute of type BIGINT (or INTEGER), but ${show(name)} is ${info.type.key}`)
  }

  /** A status cast to the attribute's type. @throws OrderTimersError INVALID_STATUS if the attribute's type cannot hold it */
  status(option: string, attribute: string, value: unknown): number | string {
    const { type, name } = this.attribute('"status"', attribute)
    const model = this.model.name
    if (type.key === 'ENUM' && !type.values?.includes(String(value))) {
      const values = type.values?.map(show).join(', ')
      throw this.invalidStatus(`${option} must be one of the values of ${model}.${name} (${values}), got ${show(value)}`)
    }
    if (['INTEGER', 'SMALLINT', 'BIGINT', 'TINYINT', 'MEDIUMINT'].includes(type.key)) {
      if (/^-?\d{1,18}$/.test(String(value))) return String(value)
      throw this.invalidStatus(`${option} must be a whole number, since ${model}.${name} is ${type.key}, got ${show(value)}`)
    }
    const isText = ['STRING', 'TEXT', 'CHAR', 'CITEXT', 'ENUM'].includes(type.key)
    return typeof value === 'number' && !isText ? value : String(value)
  }

  /** `status IN (…)`, over the columns of `alias`; an empty alias for none. */
  isOneOf(attribute: string, values: readonly (number | string)[], alias = this.model.name): string {
    const { field } = this.attribute('attribute', attribute)
    const column = [...(alias ? [quoteColumn(this.model, alias)] : []), quoteColumn(this.model, field)].join('.')
    return this.isAmong(column, attribute, values)
  }

  /** `expression IN (…)`, with the values cast to the attribute's type. */
  isAmong(expression: string, attribute: string, values: readonly (number | string)[]): string {
    return `${expression} IN (${values.map((value) => valueSql(this.model, attribute, value)).join(', ')})`
  }

  /** A rule's `where` as one condition in parentheses, over the columns of `alias`. */
  where(where: WhereOptions | undefined, alias = this.model.name): Condition {
    const rendered = whereSql(this.model, where, alias)
    return rendered === '' ? undefined : `(${rendered})`
  }

  /** Under `paranoid`: the row is not deleted, with Sequelize's own condition. */
  notDeleted(): Condition {
    const where = notDeletedWhere(this.model)
    return where && `(${columnsWhereSql(this.model, where, this.model.name)})`
  }

  /** The condition of the scope that the shop has given the rule. */
  get scope(): WhereOptions | undefined {
    return chosenWhere(this.model)
  }

  /** A text as a literal of SQL. */
  readonly literal = (text: string): string => textSql(this.model, text)

  /** One of our own tables, in the schema of the orders' table. */
  inSameSchema(name: string): string {
    return quoteTable(this.model, name)
  }

  /** Assignments that Sequelize makes in every write: `updatedAt`, and the version for optimistic locking. */
  bookkeeping(): string[] {
    const assignments: string[] = []
    const updatedAt = this.updatedAt()
    if (updatedAt) assignments.push(`${this.bareColumn(updatedAt)} = now()`)
    const { version } = this.model.options
    if (version) {
      const attribute = typeof version === 'string' ? version : 'version'
      assignments.push(`${this.bareColumn(attribute)} = ${this.column(attribute)} + 1`)
    }
    return assignments
  }

  /** Further columns to write, as SQL. @throws OrderTimersError INVALID_MODEL if the model has no such attribute */
  assignments(set: Record<string, unknown>): string[] {
    return Object.entries(set).map(([name, value]) => {
      this.attribute('"set"', name)
      const problem = unreadableValue(this.model, name, value)
      if (problem !== undefined)
        throw this.invalid(`"set.${name}" must be a value, or an expression of ${this.model.name}'s own Sequelize: ${problem}`)
      return `${this.bareColumn(name)} = ${valueSql(this.model, name, value)}`
    })
  }

  /** An instance of the model from a row's columns, as the shop's own queries would return it. */
  instance(row: Record<string, unknown>): Model {
    const values: Record<string, unknown> = {}
    for (const [name, column] of this.columnNames) if (column in row) values[name] = row[column]
    return this.instances.build(values, { isNewRecord: false, raw: true })
  }

  invalid(message: string, cause?: unknown): OrderTimersError {
    return new OrderTimersError('INVALID_MODEL', `orderTimers: ${this.rule}: ${message}`, cause === undefined ? {} : { cause })
  }

  private invalidStatus(message: string): OrderTimersError {
    return new OrderTimersError('INVALID_STATUS', `orderTimers: ${this.rule}: ${message}`)
  }

  private updatedAt(): string | undefined {
    const { timestamps, updatedAt: name } = this.model.options
    return timestamps === false || name === false ? undefined : typeof name === 'string' ? name : 'updatedAt'
  }

  private primaryKey(): string {
    const names = this.model.primaryKeyAttributes
    if (names.length === 1) return names[0] as string
    throw this.invalid(
      `${this.model.name} must have a primary key of one attribute, it has ${names.length === 0 ? 'none' : names.join(', ')}`,
    )
  }

  private idTypeOf({ type, name }: AttributeInfo): IdType {
    const found = idTypeOf(type.key)
    if (found) return found
    throw this.invalid(`the primary key ${this.model.name}.${name} must be an integer, BIGINT, UUID or STRING, it is ${type.key}`)
  }
}
