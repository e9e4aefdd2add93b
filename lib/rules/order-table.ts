// A rule's model as SQL: the table, the columns that the rule names, the ids and the statuses, all checked when the rule is bound.
// Attribute names may differ from column names; scopes are not applied, `paranoid` is.

import type { Model, ModelStatic, WhereOptions } from 'sequelize'
import { OrderTimersError, show } from '../errors.js'
import { type IdParser, nameId, uuidId, wholeNumberId } from '../ids.js'
import { rows } from './database.js'
import {
  type AnyModel,
  type AttributeInfo,
  attributeInfo,
  quoteColumn,
  quoteTable,
  sequelizeOf,
  valueSql,
  whereSql,
} from './sequelize-sql.js'

/** A model class, or a function that returns it where models are initialised later. */
export type ModelSource<M extends Model> = ModelStatic<M> | (() => ModelStatic<M>)

/** The name under which the order's table stands in every statement. */
export const ALIAS = 'o'

export class OrderTable {
  readonly table: string
  readonly idAttribute: string
  readonly parseId: IdParser

  private constructor(
    private readonly rule: string,
    readonly model: AnyModel,
  ) {
    const id = this.attribute('primary key', this.primaryKey())
    this.idAttribute = id.name
    this.parseId = this.idParser(id)
    this.table = quoteTable(model)
  }

  /** @throws OrderTimersError INVALID_MODEL where there is no initialised model behind `source` */
  static of(kind: string, source: ModelSource<Model>): OrderTable {
    return new OrderTable(`rule "${kind}"`, initialisedModel(`rule "${kind}"`, source))
  }

  get sequelize() {
    return sequelizeOf(this.model)
  }

  /** A column with the table's alias, quoted. */
  column(attribute: string): string {
    return `${quoteColumn(this.model, ALIAS)}.${this.bareColumn(attribute)}`
  }

  /** A column as the left side of SET needs it. */
  bareColumn(attribute: string): string {
    return quoteColumn(this.model, this.attribute('attribute', attribute).field)
  }

  /** @throws OrderTimersError INVALID_MODEL where the model has no such attribute */
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

  /** A status as Postgres is to get it. @throws OrderTimersError INVALID_STATUS where the attribute's type cannot hold it */
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
    return typeof value === 'number' ? value : String(value)
  }

  /** The rule's `where` and the model's `paranoid` as SQL that begins with AND, or nothing. */
  conditions(where: WhereOptions | undefined): { paranoid: string; where: string } {
    const deletedAt = this.timestamp('deletedAt')
    const rendered = whereSql(this.model, where, ALIAS)
    return {
      paranoid: this.model.options.paranoid === true && deletedAt ? ` AND ${this.column(deletedAt)} IS NULL` : '',
      where: rendered === '' ? '' : ` AND (${rendered})`,
    }
  }

  /** Assignments that every write of the shop's own would make too: `updatedAt`, the version of optimistic locking. */
  bookkeeping(): string[] {
    const assignments: string[] = []
    const updatedAt = this.timestamp('updatedAt')
    if (updatedAt) assignments.push(`${this.bareColumn(updatedAt)} = now()`)
    const { version } = this.model.options
    if (version) {
      const attribute = typeof version === 'string' ? version : 'version'
      assignments.push(`${this.bareColumn(attribute)} = ${this.column(attribute)} + 1`)
    }
    return assignments
  }

  /** Further columns to write, as SQL. @throws OrderTimersError INVALID_MODEL where the model has no such attribute */
  assignments(set: Record<string, unknown>): string[] {
    return Object.entries(set).map(([name, value]) => {
      this.attribute('"set"', name)
      return `${this.bareColumn(name)} = ${valueSql(this.model, name, value)}`
    })
  }

  /** The table's columns as Postgres has them, by the connection's own search path. Type by name. */
  async columns(): Promise<Map<string, string>> {
    const sql = `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
WHERE attrelid = to_regclass('${this.table.replaceAll("'", "''")}') AND attnum > 0 AND NOT attisdropped`
    const columns = await rows<{ name: string; type: string }>(this.sequelize, sql, [], null)
    if (columns.length === 0) throw this.invalid(`there is no table ${this.table} (yet); create it, or name the right one in the model`)
    return new Map(columns.map(({ name, type }) => [name, type]))
  }

  invalid(message: string): OrderTimersError {
    return new OrderTimersError('INVALID_MODEL', `orderTimers: ${this.rule}: ${message}`)
  }

  private invalidStatus(message: string): OrderTimersError {
    return new OrderTimersError('INVALID_STATUS', `orderTimers: ${this.rule}: ${message}`)
  }

  private timestamp(which: 'updatedAt' | 'deletedAt'): string | undefined {
    const { timestamps, [which]: name } = this.model.options
    return timestamps === false || name === false ? undefined : typeof name === 'string' ? name : which
  }

  private primaryKey(): string {
    const names = this.model.primaryKeyAttributes
    if (names.length === 1) return names[0] as string
    throw this.invalid(
      `${this.model.name} must have a primary key of one attribute, it has ${names.length === 0 ? 'none' : names.join(', ')}`,
    )
  }

  private idParser({ type, name }: AttributeInfo): IdParser {
    if (type.key === 'INTEGER' || type.key === 'BIGINT' || type.key === 'SMALLINT') return wholeNumberId(type.key)
    if (type.key === 'UUID' || type.key === 'UUIDV4') return uuidId
    if (type.key === 'STRING' || type.key === 'TEXT' || type.key === 'CHAR') return nameId
    throw this.invalid(`the primary key ${this.model.name}.${name} must be an integer, BIGINT, UUID or STRING, it is ${type.key}`)
  }
}

function initialisedModel(rule: string, source: ModelSource<Model>): AnyModel {
  const model = (isModel(source) ? source : (source as () => unknown)()) as AnyModel | undefined
  if (isModel(model) && model.sequelize !== undefined) return model
  const remedy = 'call Order.init(…) before the timers are first used, or pass a function that returns the model'
  throw new OrderTimersError(
    'INVALID_MODEL',
    `orderTimers: ${rule}: the model must be an initialised Sequelize model, got ${show(model)}; ${remedy}`,
  )
}

/** Sequelize's own marks, since the shop may have another copy of Sequelize than anybody's `instanceof` would know. */
export function isModel(value: unknown): value is AnyModel {
  return typeof value === 'function' && typeof (value as Partial<AnyModel>).findAll === 'function'
}
