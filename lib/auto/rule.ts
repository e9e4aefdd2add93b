// What a write of the status does to the deadline of one rule: the columns to write with it, as expressions over the row before the statement. So
// everything happens in the shop's own statement, and an order that is already in `from` keeps its deadline, even if the instance is outdated.

import { OrderTimersError, show } from '../errors.js'
import { NO_TIMER_AT, NOT_IN_FROM } from '../rows/guard.js'
import { epochMsSql, intervalSql, wholeMsSql } from '../rows/instant-sql.js'
import { columnOf } from '../rows/row-options.js'
import type { ColumnDeadline } from '../rows/row-rule.js'
import type { HookingRule } from '../rules/rule.js'
import { type AttributeInfo, isExpression, quoteColumn, tableSql, valueSql } from '../sequelize/sql.js'

/** Arms and disarms timers in Redis. Never rejects. */
export interface AutoArming {
  arm(rule: HookingRule, id: string, deadlineMs: number): Promise<boolean>
  disarm(rule: HookingRule, id: string, deadlineMs: number): Promise<void>
}

/** What to write, as SQL by column. `$` is escaped, since Sequelize looks for bind parameters in it. */
export type Assignments = Record<string, string>

/** Values by column, as Sequelize passes them. */
export type Values = Record<string, unknown>

/** Reads an attribute of a row or an instance. */
export type ReadRow = (attribute: AttributeInfo) => unknown

/** A new deadline, as SQL, NULL for none; null if no order gets one. */
export type FreshSql = string | null

const WHOLE_NUMBERS = new Set(['INTEGER', 'SMALLINT', 'BIGINT', 'TINYINT', 'MEDIUMINT'])

export class AutoRule {
  readonly row: HookingRule['row']
  /** The table of the rule's model, as Sequelize quotes it. */
  readonly table: string
  readonly status: AttributeInfo
  /** The deadline, or what it is counted from. */
  readonly start: AttributeInfo
  /** If `after` is a function. */
  readonly afterOf: ColumnDeadline['afterOf']
  /** Milliseconds from `start` to the deadline. */
  private readonly sinceMs: number
  private readonly id: AttributeInfo
  private readonly keep: AttributeInfo | undefined
  private readonly extended: AttributeInfo | undefined
  private readonly from: ReadonlySet<string>
  /** `status IN (…)` over the row before the statement. */
  private readonly was: string

  constructor(
    readonly rule: HookingRule,
    readonly arming: AutoArming | undefined,
  ) {
    this.row = rule.row
    const { table } = this.row.guard
    const { status, from } = this.row.move
    const attribute = (name: string) => table.attribute('attribute', name)
    this.table = tableSql(table.model, table.model.getTableName())
    this.id = attribute(table.idAttribute)
    this.status = attribute(status)
    const { deadline } = this.row
    const { pause, extensions } = columnOf(this.row.options) ?? {}
    this.start = attribute(deadline.attribute)
    this.afterOf = deadline.in === 'column' ? deadline.afterOf : undefined
    this.sinceMs = deadline.in === 'since' ? deadline.afterMs : 0
    this.keep = pause && attribute(pause.keep)
    this.extended = extensions && attribute(extensions.attribute)
    this.from = new Set(from.map((value) => this.asPostgresCompares(value)))
    this.was = table.isOneOf(status, from, '')
  }

  /** The attributes that determine a row's timer. */
  get reads(): AttributeInfo[] {
    return [this.id, this.status, this.start]
  }

  get writesDeadline(): boolean {
    return this.row.deadline.in === 'column'
  }

  /** The deadline if `after` is the same for all orders; null if it is a function, which needs the order. */
  get fresh(): FreshSql {
    const { afterMs } = this.row.deadline
    return afterMs === undefined ? null : afterSql(intervalSql(afterMs))
  }

  /** Whether the rule applies to a status; false for an expression, whose value is not known yet. */
  isFrom(status: unknown): boolean {
    return this.from.has(this.asPostgresCompares(status))
  }

  /** Whether the statement itself writes a deadline. */
  isGiven(values: Values): boolean {
    return values[this.start.field] !== undefined && values[this.start.field] !== null
  }

  /** What an INSERT must write in addition. */
  inserting(values: Values, fresh: FreshSql): Assignments {
    const status = values[this.status.field]
    if (!this.writesDeadline || this.isGiven(values)) return {}
    const { field } = this.start
    if (this.isFrom(status)) return { [field]: this.freshOrNone(fresh) }
    return this.isExpression(status) ? { [field]: `CASE WHEN ${this.isIn(status)} THEN ${this.freshOrNone(fresh)} END` } : {}
  }

  /** What an UPDATE of the status must write in addition. */
  updating(values: Values, fresh: FreshSql): Assignments {
    if (!this.writesDeadline) return {}
    const status = values[this.status.field]
    if (this.isExpression(status)) return this.updatingTo(this.isIn(status), values, fresh)
    return this.isFrom(status) ? this.entering(values, fresh) : this.leaving()
  }

  /** The same if the new status is an expression. @param is whether it is in `from`, as SQL */
  updatingTo(is: string, values: Values, fresh: FreshSql): Assignments {
    const leaving = this.leaving()
    const assignments = Object.entries(this.entering(values, fresh)).map(([field, entered]) => {
      const left = leaving[field] ?? this.column(field)
      return [field, `CASE WHEN ${is} THEN ${entered} ELSE ${left} END`]
    })
    return Object.fromEntries(assignments)
  }

  /** Whether the rule applies to the value of an expression, as SQL. */
  isInSql(expression: string): string {
    return this.row.guard.table.isAmong(`(${expression})`, this.status.name, [...this.from])
  }

  /** The values that end a timer. */
  leaving(): Assignments {
    if (!this.writesDeadline) return {}
    const kept = this.keep ? { [this.keep.field]: 'NULL' } : {}
    return { [this.start.field]: NOT_IN_FROM, ...kept }
  }

  /**
   * The timer of a row, as SQL: its id and its deadline in whole milliseconds, as one text, so that the shop's own type parsers do not touch them.
   * NULL if it has none.
   * @param of the prefix of each column, with the dot
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

  /** The timer that an instance had when it was read. Unknown if the shop's type parsers return no dates; then a claim finds out later. */
  timerOf(read: ReadRow): { id: string; deadlineMs: number } | undefined {
    const id = this.rule.parseId(read(this.id))
    const start = read(this.start)
    if (id === null || !(start instanceof Date) || !this.isFrom(read(this.status)) || start.getTime() >= NO_TIMER_MS) return undefined
    return { id, deadlineMs: start.getTime() + this.sinceMs }
  }

  /** @returns the error for an upsert, which would either restart the timers of existing orders or not start those of new ones */
  cannotUpsert(call: string, status: unknown): OrderTimersError {
    const { name } = this.row.guard.table.model
    const remedy = 'use findOrCreate and then update, or the trigger that `order-timers migration --trigger` prints in place of "auto"'
    return new OrderTimersError(
      'AUTO_UPSERT',
      `orderTimers: rule "${this.rule.kind}": ${name}.${call} writes ${this.status.name} ${show(status)}, and cannot start the timer of a new order without restarting that of an existing one; ${remedy}`,
    )
  }

  isExpression(value: unknown): boolean {
    return isExpression(this.row.guard.table.model, value)
  }

  private entering(values: Values, fresh: FreshSql): Assignments {
    const { field, name } = this.start
    const given = values[field]
    const sql = given === undefined ? this.column(field) : valueSql(this.row.guard.table.model, name, given)
    const entered = this.isGiven(values) ? `coalesce(${sql}, ${this.freshOrNone(fresh)})` : this.freshOrNone(fresh)
    const reset = [this.keep, this.extended].flatMap((attribute) =>
      attribute && !(attribute.field in values)
        ? [[attribute.field, `CASE WHEN ${this.was} THEN ${this.column(attribute.field)} ELSE NULL END`]]
        : [],
    )
    return { [field]: `CASE WHEN ${this.was} THEN ${sql} ELSE ${entered} END`, ...Object.fromEntries(reset) }
  }

  private freshOrNone(fresh: FreshSql): string {
    const { noTimerSql } = this.row.guard
    return fresh === null ? noTimerSql : `coalesce(${fresh}, ${noTimerSql})`
  }

  /** '4' and 4 are one number, and CITEXT is one text in any letter case. */
  private asPostgresCompares(status: unknown): string {
    const { key } = this.status.type
    if (WHOLE_NUMBERS.has(key) && typeof status === 'string') return String(Number(status))
    return key === 'CITEXT' ? String(status).toLowerCase() : String(status)
  }

  private isIn(status: unknown): string {
    return this.isInSql(valueSql(this.row.guard.table.model, this.status.name, status))
  }

  private column(field: string): string {
    return quoteColumn(this.row.guard.table.model, field)
  }
}

/** A deadline counted from now. @param interval as SQL */
export function afterSql(interval: string): string {
  return `${wholeMsSql('statement_timestamp()')} + ${interval}`
}

/** The mark for "no timer" under `backfill`; see NO_TIMER_AT. */
const NO_TIMER_MS = Date.UTC(9999, 11, 31)
