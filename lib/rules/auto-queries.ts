// The statements of one hooked model. Every write of a model, whichever call made it and whatever hooks the shop has, goes through the model's
// `queryInterface` with the columns that it is about to write; here the deadlines are written with them, and armed after the commit.

import type { Model, Transaction } from 'sequelize'
import { afterCommit, transactionOf } from '../after-commit.js'
import { armAll } from './auto-arming.js'
import { afterByOrder } from './auto-orders.js'
import type { AfterSql, Assignments, AutoRule, ReadRow, Values } from './auto-rule.js'
import { type AnyModel, isTableOf, sequelizeOf, valueSql, withoutBinding } from './sequelize-sql.js'

/** What Sequelize's calls hand to the statement that they become, as far as it is looked at here. */
export interface StatementOptions {
  transaction?: Transaction | null
  returning?: boolean | string[] | undefined
  hooks?: boolean
  type?: string
  raw?: boolean
  instance?: Model
  updateOnDuplicate?: string[]
  bindParam?: unknown
  searchPath?: unknown
  [option: string]: unknown
}

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

/** An instance by attribute, a raw row by attribute or by column. */
const ofInstance =
  (instance: Model): ReadRow =>
  ({ name }) =>
    (instance as unknown as { dataValues: Values }).dataValues[name]
const byName =
  (row: object): ReadRow =>
  ({ name }) =>
    ((row as { dataValues?: Values }).dataValues ?? (row as Values))[name]
const byField =
  (row: Values): ReadRow =>
  ({ field }) =>
    row[field]

export class AutoQueries implements Queries {
  constructor(
    private readonly real: Queries,
    private readonly model: AnyModel,
    private readonly hooked: ReadonlySet<AutoRule>,
  ) {}

  async insert(instance: Model | null, table: unknown, values: Values, options: StatementOptions): Promise<unknown[]> {
    const rules = this.rules(table, values, options)
    if (rules.length === 0 || instance === null) return this.real.insert(instance, table, values, options)
    const written = merge(rules.map((rule) => rule.inserting(values, this.afterOf(rule, instance))))
    const returning = withReturning(options.returning, this.reads(rules))
    const result = await this.real.insert(instance, table, { ...values, ...this.literals(written, options) }, { ...options, returning })
    this.note(instance, written)
    await this.arm(rules, [ofInstance(instance)], options)
    return result
  }

  async update(instance: Model, table: unknown, values: Values, where: unknown, options: StatementOptions): Promise<unknown[]> {
    // So Sequelize saves by itself, one by one, where the hooks of a bulk update with `individualHooks` have run already.
    const ofBulk = options.type === 'BULKUPDATE'
    const rules = this.rules(table, values, ofBulk ? { ...options, hooks: true } : options)
    if (rules.length === 0) return this.real.update(instance, table, values, where, options)
    const written = merge(rules.map((rule) => rule.updating(values, this.afterOf(rule, instance))))
    const left = rules.flatMap((rule) => {
      const timer = rule.isFrom(values[rule.status.field]) ? undefined : rule.timerOf(before(instance))
      return timer ? [{ rule, ...timer }] : []
    })
    const reads = rules.flatMap((rule) => [
      ...(rule.isExpression(values[rule.status.field]) ? [rule.status.field] : []),
      ...(rule.writesDeadline || instance.get(rule.start.name) === undefined ? [rule.start.field] : []),
    ])
    const returning = withReturning(options.returning, [...Object.keys(written), ...reads])
    const all = { ...values, ...this.literals(written, options) }
    const result = await this.real.update(instance, table, all, where, returning === undefined ? options : { ...options, returning })
    this.note(instance, written)
    if (result[1] === 0) return result
    await this.arm(rules, [ofInstance(instance)], options, left)
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
    const after = await this.afters(entering, where, options)
    const written = merge(rules.map((rule) => rule.updating(values, after.get(rule) ?? rule.after)))
    const all = { ...values, ...this.literals(written, options) }
    const asked = options.returning || undefined
    const returning = entering.length > 0 ? withReturning(asked, this.reads(entering)) : asked
    if (returning === undefined) return this.real.bulkUpdate(table, all, where, options, attributes)
    const raw = asked === undefined ? { raw: true } : {}
    const found = (await this.real.bulkUpdate(table, all, where, { ...options, returning, ...raw }, attributes)) as object[]
    await this.arm(entering, found.map(byName), options)
    if (asked === undefined) return found.length
    this.strip(found, asked, 'name')
    return found
  }

  async bulkInsert(table: unknown, records: Values[], options: StatementOptions, attributes: unknown): Promise<unknown> {
    const rules = records.length === 0 ? [] : this.rules(table, Object.assign({}, ...records), options)
    if (rules.length === 0) return this.real.bulkInsert(table, records, options, attributes)
    const overwrites = rules.filter(({ status }) => options.updateOnDuplicate?.includes(status.field))
    const extra = records.map((values) => {
      for (const rule of overwrites) refuseUpsert(rule, 'bulkCreate with updateOnDuplicate', values, options.updateOnDuplicate)
      const order = rules.some(({ row }) => row.afterOf) ? this.order(values) : undefined
      const leaving = overwrites.filter((rule) => rule.writesDeadline && !rule.isFrom(values[rule.status.field]))
      return merge([
        ...rules.map((rule) => (rule.status.field in values ? rule.inserting(values, this.afterOf(rule, order)) : {})),
        ...leaving.map((rule) => rule.leaving()),
      ])
    })
    const all = records.map((values, i) => ({ ...values, ...this.literals(extra[i] as Assignments, { bindParam: false }) }))
    const leaves = overwrites.flatMap((rule) => (rule.writesDeadline ? Object.keys(rule.leaving()) : []))
    const updateOnDuplicate = options.updateOnDuplicate && [...new Set([...options.updateOnDuplicate, ...leaves])]
    const returning = withReturning(options.returning, this.reads(rules))
    const inserted = await this.real.bulkInsert(
      table,
      all,
      { ...options, returning, ...(updateOnDuplicate && { updateOnDuplicate }) },
      attributes,
    )
    const found = Array.isArray(inserted) ? (inserted as Values[]) : []
    await this.arm(rules, found.map(byField), options)
    this.strip(found, options.returning, 'field')
    return inserted
  }

  async upsert(table: unknown, insert: Values, update: Values, where: unknown, options: StatementOptions): Promise<unknown[]> {
    const rules = this.rules(table, insert, options)
    const { instance } = options
    if (rules.length === 0 || instance === undefined) return this.real.upsert(table, insert, update, where, options)
    const overwrites = rules.filter(({ status }) => status.field in update)
    for (const rule of overwrites) refuseUpsert(rule, 'upsert', update, Object.keys(update))
    const leaving = merge(overwrites.map((rule) => (rule.writesDeadline && !rule.isFrom(update[rule.status.field]) ? rule.leaving() : {})))
    const inserting = merge([leaving, ...rules.map((rule) => rule.inserting(insert, this.afterOf(rule, instance)))])
    const result = await this.real.upsert(
      table,
      { ...insert, ...this.literals(inserting, options) },
      { ...update, ...this.literals(leaving, options) },
      where,
      { ...options, returning: withReturning(options.returning, this.reads(rules)) },
    )
    this.note(instance, inserting)
    await this.arm(rules, [ofInstance(instance)], options)
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
    const after = await this.afters(rules, where, options)
    const written = merge(
      rules.map((rule) => {
        if (!rule.writesDeadline) return {}
        const status = rule.row.guard.table.bareColumn(rule.status.name)
        const is = rule.isInSql(`${status} ${operator} ${valueSql(this.model, rule.status.name, amounts[rule.status.field])}`)
        return rule.updatingTo(is, extra, after.get(rule) ?? rule.after)
      }),
    )
    const asked = options.returning ?? true
    const returning = withReturning(asked, this.reads(rules))
    const all = { ...extra, ...this.literals(written, { bindParam: false }) }
    const result = await this.real[call](model, table, where, amounts, all, { ...options, returning })
    const { instance } = options
    if (instance) this.note(instance, written)
    const found = Array.isArray(result[0]) ? (result[0] as Values[]) : []
    await this.arm(rules, instance ? [ofInstance(instance)] : found.map(byField), options)
    this.strip(found, asked, 'field')
    return asked === false && !instance ? [[], result[1]] : result
  }

  /** The rules that a statement concerns. `hooks: false` is the shop's word that it wants none. */
  private rules(table: unknown, values: Values, { hooks }: StatementOptions): AutoRule[] {
    if (hooks === false) return []
    const rules = [...this.hooked].filter(({ status }) => status.field in values)
    return rules.length > 0 && isTableOf(this.model, table) ? rules : []
  }

  private reads(rules: readonly AutoRule[]): string[] {
    return rules.flatMap((rule) => rule.reads.map(({ field }) => field))
  }

  private afterOf({ row, after }: AutoRule, order: Model | undefined): AfterSql {
    if (!row.afterOf) return after
    const afterMs = row.afterOf(order as Model)
    return afterMs === null ? null : `${afterMs} * interval '1 millisecond'`
  }

  private needsTransaction(rules: readonly AutoRule[], options: StatementOptions): boolean {
    return rules.some(({ row }) => row.afterOf) && this.transaction(options) === undefined
  }

  /** Where `after` is a function, the orders are read and locked first. */
  private async afters(rules: readonly AutoRule[], where: unknown, options: StatementOptions): Promise<Map<AutoRule, AfterSql>> {
    const asking = rules.filter(({ row }) => row.afterOf)
    const transaction = this.transaction(options)
    return asking.length === 0 || !transaction ? new Map() : afterByOrder(asking, where, transaction)
  }

  private transaction(options: StatementOptions): Transaction | undefined {
    return transactionOf(options.transaction, sequelizeOf(this.model))
  }

  /** As Sequelize's generator decides it, a statement binds or does not. */
  private literals(written: Assignments, { bindParam, searchPath, exception }: StatementOptions): Values {
    const sequelize = sequelizeOf(this.model)
    const { dialectOptions } = (sequelize as unknown as { options: { dialectOptions?: { prependSearchPath?: boolean } } }).options
    const binds = bindParam !== false && !searchPath && !exception && !dialectOptions?.prependSearchPath
    return Object.fromEntries(Object.entries(written).map(([field, sql]) => [field, sequelize.literal(binds ? sql : withoutBinding(sql))]))
  }

  private order(values: Values): Model {
    return ([...this.hooked][0] as AutoRule).row.guard.table.instance(values)
  }

  /** What the instance now has is what the row has: no change of the shop's. */
  private note(instance: Model, written: Assignments): void {
    const { dataValues, _previousDataValues: previous } = instance as unknown as { dataValues: Values; _previousDataValues: Values }
    for (const [name, { field = name }] of Object.entries(this.model.getAttributes()))
      if (field in written) previous[name] = dataValues[name]
  }

  /** Takes out again what the shop has not asked to be returned. */
  private strip(found: object[], asked: boolean | string[] | undefined, by: 'name' | 'field'): void {
    if (asked === true) return
    const keep = new Set(asked || [])
    const added = [...this.hooked].flatMap(({ reads }) => reads).filter(({ field }) => !keep.has(field))
    for (const row of found) {
      const values = (row as { dataValues?: Values }).dataValues ?? (row as Values)
      for (const attribute of added) delete values[attribute[by]]
    }
  }

  /** After the commit: at once where there is no transaction. */
  private async arm(
    rules: readonly AutoRule[],
    rows: ReadRow[],
    options: StatementOptions,
    left: { rule: AutoRule; id: string; deadlineMs: number }[] = [],
  ): Promise<void> {
    const arms = rules.flatMap((rule) =>
      rows.flatMap((read) => {
        const timer = rule.timerOf(read)
        return timer ? [{ rule, ...timer }] : []
      }),
    )
    if (arms.length + left.length === 0) return
    const work = async () => {
      await Promise.all(left.map(({ rule, id, deadlineMs }) => rule.arming?.disarm(rule.rule, id, deadlineMs)))
      await armAll(arms)
    }
    const transaction = this.transaction(options)
    if (transaction) afterCommit(transaction, work)
    else await work()
  }
}

/** The instance as it was when it was read. */
function before(instance: Model): ReadRow {
  return ({ name }) => instance.previous(name as never)
}

/** The first rule to write a column has it: two timers over one model say the same. */
function merge(all: Assignments[]): Assignments {
  return Object.assign({}, ...all.reverse())
}

function withReturning(asked: boolean | string[] | undefined, fields: readonly string[]): boolean | string[] | undefined {
  if (asked === true) return true
  const all = [...new Set([...(asked || []), ...fields])]
  return all.length > 0 ? all : asked
}

/** @throws OrderTimersError AUTO_UPSERT */
function refuseUpsert(rule: AutoRule, call: string, values: Values, overwritten: readonly string[] | undefined): void {
  const status = values[rule.status.field]
  if (!rule.writesDeadline || !(rule.isFrom(status) || rule.isExpression(status))) return
  if (rule.isGiven(values) && overwritten?.includes(rule.start.field)) return
  throw rule.cannotUpsert(call, status)
}
