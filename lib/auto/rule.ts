// What a write of the status does to one rule's deadline: the columns to write with it, as expressions over the row as it was. So it all happens
// in the shop's own statement, and an order that is in `from` already keeps its deadline, whatever a stale instance thinks.

import { OrderTimersError, show } from '../errors.js'
import { NO_TIMER_AT, NOT_IN_FROM } from '../rows/guard.js'
import { epochMsSql, intervalSql, wholeMsSql } from '../rows/instant-sql.js'
import { columnOf } from '../rows/row-options.js'
import type { ColumnDeadline } from '../rows/row-rule.js'
import type { HookingRule } from '../rules/rule.js'
import { type AttributeInfo, isExpression, quoteColumn, valueSql } from '../sequelize/sql.js'

/** Where timers are armed and disarmed; none where nothing is armed. Never rejects. */
export interface AutoArming {
  arm(rule: HookingRule, id: string, deadlineMs: number): Promise<boolean>
  disarm(rule: HookingRule, id: string, deadlineMs: number): Promise<void>
}

/** Columns by name, with what to write into them as SQL that a binder will look at. */
export type Assignments = Record<string, string>

/** Values by column, as Sequelize is about to write them. */
export type Values = Record<string, unknown>

/** A row that was read or written, by attribute. */
export type ReadRow = (attribute: AttributeInfo) => unknown

/** From now to the deadline, as SQL; null: these orders never time out. */
export type AfterSql = string | null

const WHOLE = new Set(['INTEGER', 'SMALLINT', 'BIGINT', 'TINYINT', 'MEDIUMINT'])

export class AutoRule {
  readonly row: HookingRule['row']
  readonly status: AttributeInfo
  /** The deadline, or what it is counted from. */
  readonly start: AttributeInfo
  /** Where `after` is a function of the order. */
  readonly afterOf: ColumnDeadline['afterOf']
  /** Milliseconds from `start` to the deadline. */
  private readonly sinceMs: number
  private readonly id: AttributeInfo
  private readonly keep: AttributeInfo | undefined
  private readonly extended: AttributeInfo | undefined
  private readonly from: ReadonlySet<string>
  /** `status IN (…)` over the row as it was. */
  private readonly was: string

  constructor(
    readonly rule: HookingRule,
    readonly arming: AutoArming | undefined,
  ) {
    this.row = rule.row
    const { table } = this.row.guard
    const { status, from } = this.row.move
    const attribute = (name: string) => table.attribute('attribute', name)
    this.id = attribute(table.idAttribute)
    this.status = attribute(status)
    const { deadline } = this.row
    const { pause, extensions } = columnOf(this.row.options) ?? {}
    this.start = attribute(deadline.attribute)
    this.afterOf = deadline.in === 'column' ? deadline.afterOf : undefined
    this.sinceMs = deadline.in === 'since' ? deadline.afterMs : 0
    this.keep = pause && attribute(pause.keep)
    this.extended = extensions && attribute(extensions.attribute)
    this.from = new Set(from.map(String))
    this.was = table.isOneOf(status, from, '')
  }

  /** What is to be read of a row to know its timer. */
  get reads(): AttributeInfo[] {
    return [this.id, this.status, this.start]
  }

  get writesDeadline(): boolean {
    return this.row.deadline.in === 'column'
  }

  /** `after` where it is the same for all orders; none of a function is known without its order. */
  get after(): AfterSql {
    const { afterMs } = this.row.deadline
    return afterMs === undefined ? null : intervalSql(afterMs)
  }

  /** Whether a status is one that the rule applies to; false for an expression, whose value nobody knows yet. */
  isFrom(status: unknown): boolean {
    return this.from.has(WHOLE.has(this.status.type.key) && typeof status === 'string' ? String(Number(status)) : String(status))
  }

  /** Whether the shop itself says when these orders are due. */
  isGiven(values: Values): boolean {
    return values[this.start.field] !== undefined && values[this.start.field] !== null
  }

  /** What an INSERT writes too. */
  inserting(values: Values, after: AfterSql): Assignments {
    const status = values[this.status.field]
    if (!this.writesDeadline || this.isGiven(values)) return {}
    const { field } = this.start
    if (this.isFrom(status)) return { [field]: this.fresh(after) }
    return this.isExpression(status) ? { [field]: `CASE WHEN ${this.isIn(status)} THEN ${this.fresh(after)} END` } : {}
  }

  /** What an UPDATE that writes the status writes too. */
  updating(values: Values, after: AfterSql): Assignments {
    if (!this.writesDeadline) return {}
    const status = values[this.status.field]
    if (this.isExpression(status)) return this.updatingTo(this.isIn(status), values, after)
    return this.isFrom(status) ? this.entering(values, after) : this.leaving()
  }

  /** As `updating`, where the new status is an expression: `is` says whether it is in `from`. */
  updatingTo(is: string, values: Values, after: AfterSql): Assignments {
    const leaving = this.leaving()
    const assignments = Object.entries(this.entering(values, after)).map(([field, entered]) => {
      const left = leaving[field] ?? this.column(field)
      return [field, `CASE WHEN ${is} THEN ${entered} ELSE ${left} END`]
    })
    return Object.fromEntries(assignments)
  }

  /** Whether an expression's value is one that the rule applies to, as SQL. */
  isInSql(expression: string): string {
    return this.row.guard.table.isAmong(`(${expression})`, this.status.name, [...this.from])
  }

  /** What takes the timer away. */
  leaving(): Assignments {
    if (!this.writesDeadline) return {}
    const kept = this.keep ? { [this.keep.field]: 'NULL' } : {}
    return { [this.start.field]: NOT_IN_FROM, ...kept }
  }

  /**
   * The timer that a row has, as SQL: its id and its deadline in whole milliseconds, as one text, so that no parser of the shop's reads them.
   * NULL where it has none.
   * @param of what stands before a column
   */
  timerSql(of = ''): string {
    const column = ({ field }: AttributeInfo) => `${of}${this.column(field)}`
    const { table } = this.row.guard
    const start = column(this.start)
    const deadline = epochMsSql(this.sinceMs === 0 ? start : `${start} + ${intervalSql(this.sinceMs)}`)
    const has = `${table.isAmong(column(this.status), this.status.name, [...this.from])} AND ${start} < ${NO_TIMER_AT}`
    return `CASE WHEN ${has} THEN ${column(this.id)}::text || ' ' || (${deadline})::text END`
  }

  /** The timer that `timerSql` returned. */
  readTimer(text: unknown): { id: string; deadlineMs: number } | undefined {
    if (typeof text !== 'string') return undefined
    const end = text.lastIndexOf(' ')
    const [id, deadlineMs] = [this.rule.parseId(text.slice(0, end)), Number(text.slice(end + 1))]
    return id === null || !Number.isFinite(deadlineMs) ? undefined : { id, deadlineMs }
  }

  /** The timer that an instance had when it was read; where a parser of the shop's gives no dates, nobody knows, and its claim finds out. */
  timerOf(read: ReadRow): { id: string; deadlineMs: number } | undefined {
    const id = this.rule.parseId(read(this.id))
    const start = read(this.start)
    if (id === null || !(start instanceof Date) || !this.isFrom(read(this.status)) || start.getTime() >= NO_TIMER_MS) return undefined
    return { id, deadlineMs: start.getTime() + this.sinceMs }
  }

  /** @returns the refusal of a statement that would restart timers, or not start them */
  cannotUpsert(call: string, status: unknown): OrderTimersError {
    const { name } = this.row.guard.table.model
    const remedy = 'use findOrCreate and then update, or the trigger that `order-timers migration --trigger` prints in place of "auto"'
    return new OrderTimersError(
      'AUTO_UPSERT',
      `orderTimers: rule "${this.rule.kind}": ${name}.${call} writes ${this.status.name} ${show(status)}, and cannot start the timer of a new order without starting again that of an order that is there; ${remedy}`,
    )
  }

  isExpression(value: unknown): boolean {
    return isExpression(this.row.guard.table.model, value)
  }

  private entering(values: Values, after: AfterSql): Assignments {
    const { field, name } = this.start
    const given = values[field]
    const sql = given === undefined ? this.column(field) : valueSql(this.row.guard.table.model, name, given)
    const fresh = this.isGiven(values) ? `coalesce(${sql}, ${this.fresh(after)})` : this.fresh(after)
    const anew = [this.keep, this.extended].flatMap((attribute) =>
      attribute && !(attribute.field in values)
        ? [[attribute.field, `CASE WHEN ${this.was} THEN ${this.column(attribute.field)} ELSE NULL END`]]
        : [],
    )
    return { [field]: `CASE WHEN ${this.was} THEN ${sql} ELSE ${fresh} END`, ...Object.fromEntries(anew) }
  }

  private fresh(after: AfterSql): string {
    const { noTimerSql } = this.row.guard
    if (after === null) return noTimerSql
    return `coalesce(${wholeMsSql('statement_timestamp()')} + ${after}, ${noTimerSql})`
  }

  private isIn(status: unknown): string {
    return this.isInSql(valueSql(this.row.guard.table.model, this.status.name, status))
  }

  private column(field: string): string {
    return quoteColumn(this.row.guard.table.model, field)
  }
}

/** What stands for "no timer" under `backfill`, see NO_TIMER_AT. */
const NO_TIMER_MS = Date.UTC(9999, 11, 31)
