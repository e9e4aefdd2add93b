// The statements of one hooked model. Each write of a model passes through its `queryInterface`, with the columns that it is about to write,
// for every call of Sequelize. Here the deadlines are added to the statement, and armed after the commit.

import type { Model } from 'sequelize'
import { returningMore } from '../sequelize/returning.js'
import { type AnyModel, sequelizeOf, valueSql } from '../sequelize/sql.js'
import type { Assignments, AutoRule, ReadRow, Values } from './rule.js'
import { AutoStatement, merge, type StatementOptions, withReturning } from './statement.js'

/** The part of Sequelize 6's query interface through which models write. */
export interface Queries {
  insert(instance: Model | null, table: unknown, values: Values, options: StatementOptions): Promise<unknown[]>
  update(instance: Model, table: unknown, values: Values, where: unknown, options: StatementOptions): Promise<unknown[]>
  upsert(table: unknown, insert: Values, update: Values, where: unknown, options: StatementOptions): Promise<unknown[]>
  bulkInsert(table: unknown, records: Values[], options: StatementOptions, attributes: unknown): Promise<unknown>
  bulkUpdate(table: unknown, values: Values, where: unknown, options: StatementOptions, attributes: unknown): Promise<unknown>
  increment: Arithmetic
  decrement: Arithmetic
}

type Arithmetic = (
  model: AnyModel,
  table: unknown,
  where: unknown,
  amounts: Values,
  extra: Values,
  options: StatementOptions,
) => Promise<unknown[]>

export class AutoQueries extends AutoStatement implements Queries {
  private readonly real: Queries

  constructor(real: Queries, model: AnyModel, hooked: ReadonlySet<AutoRule>) {
    super(model, hooked)
    this.real = returningMore(real)
  }

  async insert(instance: Model | null, table: unknown, values: Values, options: StatementOptions): Promise<unknown[]> {
    const rules = this.rules(table, values, options)
    if (rules.length === 0 || instance === null) return this.real.insert(instance, table, values, options)
    const written = await this.written('inserting', rules, instance, values, this.clock(options))
    const returning = withReturning(options.returning, this.reads(rules))
    const all = { ...values, ...this.literals(written, options) }
    const result = await this.real.insert(instance, table, all, { ...options, ...this.returningTimers(rules, options), returning })
    this.note(instance, written)
    await this.arm(this.takeTimers(rules, [instance]), options)
    return result
  }

  async update(instance: Model, table: unknown, values: Values, where: unknown, options: StatementOptions): Promise<unknown[]> {
    // A bulk update with `individualHooks` saves its instances with `hooks: false`, since the hooks have run. That is not the shop's `hooks: false`.
    const ofBulk = options.type === 'BULKUPDATE'
    const rules = this.rules(table, values, ofBulk ? { ...options, hooks: true } : options)
    if (rules.length === 0) return this.real.update(instance, table, values, where, options)
    const written = await this.written('updating', rules, instance, values, this.clock(options))
    const left = rules.flatMap((rule) => {
      const timer = rule.isFrom(values[rule.status.field]) ? undefined : rule.timerOf(before(instance))
      return timer ? [{ rule, ...timer }] : []
    })
    const reads = rules.flatMap((rule) => [
      ...(rule.isExpression(values[rule.status.field]) ? [rule.status.field] : []),
      ...(rule.writesDeadline ? [rule.start.field] : []),
      ...rule.reads.slice(0, 1).map(({ field }) => field),
    ])
    const returning = withReturning(options.returning, [...Object.keys(written), ...reads])
    const all = { ...values, ...this.literals(written, options) }
    const result = await this.real.update(instance, table, all, where, { ...options, ...this.returningTimers(rules, options), returning })
    this.note(instance, written)
    const timers = this.takeTimers(rules, [instance])
    if (result[1] === 0) return result
    await this.arm(timers, options, left)
    return result
  }

  async bulkUpdate(table: unknown, values: Values, where: unknown, options: StatementOptions, attributes: unknown): Promise<unknown> {
    const rules = this.rules(table, values, options)
    if (rules.length === 0) return this.real.bulkUpdate(table, values, where, options, attributes)
    const entering = rules.filter((rule) => rule.isFrom(values[rule.status.field]) || rule.isExpression(values[rule.status.field]))
    if (this.needsTransaction(entering, options))
      return sequelizeOf(this.model).transaction((transaction) =>
        this.bulkUpdate(table, values, where, { ...options, transaction }, attributes),
      )
    const fresh = await this.freshOfMany(entering, where, values, options)
    const written = merge(rules.map((rule) => rule.updating(values, fresh.get(rule) ?? rule.fresh)))
    const all = { ...values, ...this.literals(written, options) }
    const asked = options.returning || undefined
    const returning = entering.length > 0 ? withReturning(asked, this.reads(entering)) : asked
    if (returning === undefined) return this.real.bulkUpdate(table, all, where, options, attributes)
    const more = { ...this.returningTimers(entering, options), ...(asked === undefined ? { raw: true, nest: false } : {}) }
    const found = (await this.real.bulkUpdate(table, all, where, { ...options, returning, ...more }, attributes)) as object[]
    await this.arm(this.takeTimers(entering, found), options)
    if (asked === undefined) return found.length
    this.strip(found, asked, 'name')
    return found
  }

  async bulkInsert(table: unknown, records: Values[], options: StatementOptions, attributes: unknown): Promise<unknown> {
    const rules = this.rules(table, allOf(records), options)
    if (rules.length === 0) return this.real.bulkInsert(table, records, options, attributes)
    const overwrites = rules.filter(({ status }) => options.updateOnDuplicate?.includes(status.field))
    const from = this.clock(options)
    const extra: Assignments[] = []
    for (const values of records) {
      for (const rule of overwrites) refuseUpsert(rule, 'bulkCreate with updateOnDuplicate', values, options.updateOnDuplicate)
      const order = rules.some(({ afterOf }) => afterOf) ? this.order(rules, values) : undefined
      const leaving = overwrites.filter((rule) => !rule.isFrom(values[rule.status.field]))
      const concerned = rules.filter(({ status }) => status.field in values)
      const written = await this.written('inserting', concerned, order, values, from)
      extra.push(merge([written, ...leaving.map((rule) => rule.leaving())]))
    }
    const all = records.map((values, i) => ({ ...values, ...this.literals(extra[i] as Assignments, { bindParam: false }) }))
    const leaves = overwrites.flatMap((rule) => Object.keys(rule.leaving()))
    const updateOnDuplicate = options.updateOnDuplicate && [...new Set([...options.updateOnDuplicate, ...leaves])]
    const returning = withReturning(options.returning, this.reads(rules))
    const inserted = await this.real.bulkInsert(
      table,
      all,
      { ...options, ...this.returningTimers(rules, { bindParam: false }), returning, ...(updateOnDuplicate && { updateOnDuplicate }) },
      attributes,
    )
    const found = Array.isArray(inserted) ? (inserted as Values[]) : []
    await this.arm(this.takeTimers(rules, found), options)
    this.strip(found, options.returning, 'field')
    return inserted
  }

  async upsert(table: unknown, insert: Values, update: Values, where: unknown, options: StatementOptions): Promise<unknown[]> {
    const rules = this.rules(table, insert, options)
    const { instance } = options
    if (rules.length === 0 || instance === undefined) return this.real.upsert(table, insert, update, where, options)
    const overwrites = rules.filter(({ status }) => status.field in update)
    for (const rule of overwrites) refuseUpsert(rule, 'upsert', update, Object.keys(update))
    const leaving = merge(overwrites.map((rule) => (rule.isFrom(update[rule.status.field]) ? {} : rule.leaving())))
    const inserting = merge([leaving, await this.written('inserting', rules, instance, insert, this.clock(options))])
    const result = await this.real.upsert(
      table,
      { ...insert, ...this.literals(inserting, options) },
      { ...update, ...this.literals(leaving, options) },
      where,
      { ...options, ...this.returningTimers(rules, options), returning: withReturning(options.returning, this.reads(rules)) },
    )
    this.note(instance, inserting)
    await this.arm(this.takeTimers(rules, [instance]), options)
    return result
  }

  increment(...[model, table, where, amounts, extra, options]: Parameters<Arithmetic>): Promise<unknown[]> {
    return this.arithmetic('+', 'increment', model, table, where, amounts, extra, options)
  }

  decrement(...[model, table, where, amounts, extra, options]: Parameters<Arithmetic>): Promise<unknown[]> {
    return this.arithmetic('-', 'decrement', model, table, where, amounts, extra, options)
  }

  private async arithmetic(
    operator: '+' | '-',
    call: 'increment' | 'decrement',
    ...[model, table, where, amounts, extra, options]: Parameters<Arithmetic>
  ): Promise<unknown[]> {
    const rules = this.rules(table, amounts, options)
    if (rules.length === 0) return this.real[call](model, table, where, amounts, extra, options)
    if (this.needsTransaction(rules, options))
      return sequelizeOf(this.model).transaction((transaction) =>
        this.arithmetic(operator, call, model, table, where, amounts, extra, { ...options, transaction }),
      )
    const fresh = await this.freshOfMany(rules, where, extra, options)
    const written = merge(
      rules.map((rule) => {
        if (!rule.writesDeadline) return {}
        const status = rule.row.guard.table.bareColumn(rule.status.name)
        const is = rule.isInSql(`${status} ${operator} ${valueSql(this.model, rule.status.name, amounts[rule.status.field])}`)
        return rule.updatingTo(is, extra, fresh.get(rule) ?? rule.fresh)
      }),
    )
    const asked = options.returning ?? true
    const returning = withReturning(asked, this.reads(rules))
    const all = { ...extra, ...this.literals(written, { bindParam: false }) }
    const more = this.returningTimers(rules, { bindParam: false })
    const result = await this.real[call](model, table, where, amounts, all, { ...options, ...more, returning })
    const { instance } = options
    if (instance) this.note(instance, written)
    const found = Array.isArray(result[0]) ? (result[0] as Values[]) : []
    await this.arm(this.takeTimers(rules, instance ? [instance] : found), options)
    this.strip(found, asked, 'field')
    return asked === false && !instance ? [[], result[1]] : result
  }
}

/** The columns of all records together. */
function allOf(records: readonly Values[]): Values {
  const all: Values = {}
  for (const record of records) Object.assign(all, record)
  return all
}

/** Reads the values that the instance had before the shop changed it. */
const before =
  (instance: Model): ReadRow =>
  ({ name }) =>
    instance.previous(name as never)

/** @throws OrderTimersError AUTO_UPSERT */
function refuseUpsert(rule: AutoRule, call: string, values: Values, overwritten: readonly string[] | undefined): void {
  const status = values[rule.status.field]
  if (!rule.writesDeadline || !(rule.isFrom(status) || rule.isExpression(status))) return
  if (rule.isGiven(values) && overwritten?.includes(rule.start.field)) return
  throw rule.cannotUpsert(call, status)
}
