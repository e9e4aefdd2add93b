// What the statements of a hooked model have in common: which rules they concern, what they must return, and the arming of the timers that they
// have started, after the commit.

import type { Model, Transaction } from 'sequelize'
import { clockOnce, type From } from '../rows/after.js'
import { instantOfMsSql, intervalSql } from '../rows/instant-sql.js'
import { afterCommit, transactionOf } from '../sequelize/after-commit.js'
import { ownSearchPath } from '../sequelize/query-options.js'
import { RECORD, RETURNED, type Returned } from '../sequelize/returning.js'
import { type AnyModel, sequelizeOf, tableSql, withoutBinding } from '../sequelize/sql.js'
import { armAll, type StartedTimer } from './arming.js'
import { freshByOrder } from './orders.js'
import { type Assignments, type AutoRule, afterSql, type FreshSql, type Values } from './rule.js'

/** The options that Sequelize passes to its query interface, as far as they are used here. */
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

/** The prefix of the returned columns with timers. */
const TIMER = 'order_timers_timer_'

export class AutoStatement {
  constructor(
    protected readonly model: AnyModel,
    private readonly hooked: ReadonlySet<AutoRule>,
  ) {}

  /** The rules that a statement concerns: those on its table (a model has one table in each schema); none with the shop's `hooks: false`. */
  protected rules(table: unknown, values: Values, { hooks }: StatementOptions): AutoRule[] {
    if (hooks === false) return []
    const rules = [...this.hooked].filter(({ status }) => status.field in values)
    if (rules.length === 0) return rules
    const written = tableSql(this.model, table)
    return rules.filter((rule) => rule.table === written)
  }

  protected reads(rules: readonly AutoRule[]): string[] {
    return rules.flatMap((rule) => rule.reads.map(({ field }) => field))
  }

  /** What a statement of one order writes in addition. */
  protected async written(
    write: 'inserting' | 'updating',
    rules: readonly AutoRule[],
    order: Model | undefined,
    values: Values,
    from: From,
  ): Promise<Assignments> {
    return merge(await Promise.all(rules.map(async (rule) => rule[write](values, await this.fresh(rule, order, values, from)))))
  }

  /** If `after` is a function, it is called only for orders that enter `from`, or may enter it. */
  private async fresh(rule: AutoRule, order: Model | undefined, values: Values, from: From): Promise<FreshSql> {
    const { afterOf, fresh, status } = rule
    if (!afterOf) return fresh
    const value = values[status.field]
    if (!rule.isFrom(value) && !rule.isExpression(value)) return null
    const given = await afterOf.ask(order as Model, from)
    if (given === null) return null
    return 'atMs' in given ? instantOfMsSql(given.atMs) : afterSql(intervalSql(given.afterMs))
  }

  /** Postgres's time, for an `after` function that takes `from`. */
  protected clock(options: StatementOptions): From {
    return clockOnce(sequelizeOf(this.model), this.transaction(options))
  }

  protected needsTransaction(rules: readonly AutoRule[], options: StatementOptions): boolean {
    return rules.some(({ afterOf }) => afterOf) && this.transaction(options) === undefined
  }

  /** If `after` is a function: the deadlines, for which the orders are read and locked. */
  protected async freshOfMany(
    rules: readonly AutoRule[],
    where: unknown,
    values: Values,
    options: StatementOptions,
  ): Promise<Map<AutoRule, FreshSql>> {
    const asking = rules.filter(({ afterOf }) => afterOf)
    const transaction = this.transaction(options)
    return asking.length === 0 || !transaction ? new Map() : freshByOrder(asking, where, values, transaction)
  }

  protected transaction(options: StatementOptions): Transaction | undefined {
    return transactionOf(options.transaction, sequelizeOf(this.model))
  }

  protected literals(written: Assignments, options: StatementOptions): Values {
    const sequelize = sequelizeOf(this.model)
    const text = this.binds(options) ? (sql: string) => sql : withoutBinding
    return Object.fromEntries(Object.entries(written).map(([field, sql]) => [field, sequelize.literal(text(sql))]))
  }

  /** The options with which a statement also returns the timers of its rows under these rules. */
  protected returningTimers(rules: readonly AutoRule[], options: StatementOptions): StatementOptions {
    const text = this.binds(options) ? (sql: string) => sql : withoutBinding
    const returned: Returned[] = rules.map((rule, i) => ({
      name: `${TIMER}${i}`,
      sql: text(rule.timerSql()),
      ofRecord: text(rule.timerSql(`${RECORD}.`)),
    }))
    return { [RETURNED]: returned, plain: false }
  }

  /** Removes the columns of `returningTimers` from what was returned: rows, or the values of instances. @returns the timers */
  protected takeTimers(rules: readonly AutoRule[], found: readonly object[]): StartedTimer[] {
    return found.flatMap((row) => {
      const values = (row as { dataValues?: Values }).dataValues ?? (row as Values)
      return rules.flatMap((rule, i) => {
        const timer = rule.readTimer(values[`${TIMER}${i}`])
        delete values[`${TIMER}${i}`]
        return timer ? [{ rule, ...timer }] : []
      })
    })
  }

  /** Whether the statement has bind parameters: the conditions are those of Sequelize's query generator. */
  private binds({ bindParam, searchPath, exception }: StatementOptions): boolean {
    return bindParam !== false && !searchPath && !exception && ownSearchPath(sequelizeOf(this.model)) === undefined
  }

  protected order([rule]: readonly AutoRule[], values: Values): Model {
    return (rule as AutoRule).row.guard.table.instance(values)
  }

  /** The instance now equals the row, so these attributes do not count as changed. */
  protected note(instance: Model, written: Assignments): void {
    const { dataValues, _previousDataValues: previous } = instance as unknown as { dataValues: Values; _previousDataValues: Values }
    for (const [name, { field = name }] of Object.entries(this.model.getAttributes()))
      if (field in written) previous[name] = dataValues[name]
  }

  /** Removes the attributes that the shop did not ask for. */
  protected strip(found: object[], asked: boolean | string[] | undefined, by: 'name' | 'field'): void {
    if (asked === true) return
    const keep = new Set(asked || [])
    const added = [...this.hooked].flatMap(({ reads }) => reads).filter(({ field }) => !keep.has(field))
    for (const row of found) {
      const values = (row as { dataValues?: Values }).dataValues ?? (row as Values)
      for (const attribute of added) delete values[attribute[by]]
    }
  }

  /** After the commit, or at once where there is no transaction. @param left timers that have ended */
  protected async arm(arms: readonly StartedTimer[], options: StatementOptions, left: readonly StartedTimer[] = []): Promise<void> {
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

/** Two timers on one model write the same values. */
export function merge(all: Assignments[]): Assignments {
  return Object.assign({}, ...all)
}

export function withReturning(asked: boolean | string[] | undefined, fields: readonly string[]): boolean | string[] | undefined {
  if (asked === true) return true
  const all = [...new Set([...(asked || []), ...fields])]
  return all.length > 0 ? all : asked
}
