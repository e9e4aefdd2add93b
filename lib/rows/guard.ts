// The conditions on an order's row under which a rule applies, as SQL: status (or the effect's condition), `where`, not paused, not deleted, and
// the deadline passed by Postgres's clock. Every statement over a rule's rows is built from these, so that none has a different guard.

import type { WhereOptions } from 'sequelize'
import { errorText } from '../error-text.js'
import { show } from '../errors.js'
import { joinedColumn } from '../sequelize/where.js'
import { allOf, type Condition } from './conditions.js'
import { instantSql, intervalSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'

export type Status = number | string

/** Which orders a rule applies to: by status (`transition`), or by a condition (`effect`). */
export type Applies = StatusApplies | { where: WhereOptions }

export interface StatusApplies {
  status: string
  from: readonly Status[]
}

export interface GuardOptions {
  applies: Applies
  /** A further condition; while it does not hold, the order waits. */
  where?: WhereOptions | undefined
  /** While this holds the timer is paused. */
  pausedWhile?: WhereOptions | undefined
  /** The attribute of the deadline, and the time to add to it; none if the deadline is only in Redis. */
  deadline: { option: '"deadline"' | '"since"'; attribute: string; plusMs: number } | undefined
  /** Whether "no timer" is written as `NO_TIMER_AT` instead of NULL, since NULL is what `backfill` fills. */
  backfilled?: boolean
  staleAfterMs: number
  /** If this condition holds, as SQL, the rule does not apply. */
  unless?: string
  /** Under `verify`: since when an order has waited for an answer, as SQL; NULL if it does not wait. */
  unverifiedSince?: string | undefined
}

/** The value for "no timer" in the deadline's column under `backfill`, which would fill NULL. */
export const NO_TIMER_AT = "'9999-12-31 00:00:00+00'::timestamptz"

/** What lies outside, such as infinity, is no deadline: nothing can be reckoned from it. */
const [FIRST_AT, LAST_AT] = ["'0001-01-01 00:00:00+00'::timestamptz", "'9999-12-31 23:59:59.999+00'::timestamptz"]

/** What stands there once an order has left `from`, also under `backfill`: if the order comes back, the deadline is filled again. */
export const NOT_IN_FROM = 'NULL'

export class RowGuard {
  /** The rule applies: the order is in `from` (or an effect's condition holds), and in the scope that the shop has chosen. */
  readonly appliesSql: string
  /** The scope that the shop has chosen. */
  readonly scopeSql: Condition
  /** The rule's own `where`. */
  readonly whereSql: Condition
  /** `pause.while` holds. */
  readonly pausedSql: Condition
  readonly notPausedSql: Condition
  /** Under `paranoid`. */
  readonly notDeletedSql: Condition
  /** Neither `where` nor a pause holds back a due order. */
  readonly eligibleSql: string
  /** The column with the deadline, or with its start. */
  readonly deadlineColumn: string | undefined
  /** The deadline as an expression; NULL where the row has none, or infinity. No statement with it runs over a column without time zone. */
  readonly deadlineSql: string
  /** The same, for a statement that also contains `deadlineSql` and so is known to read an instant. Postgres has less to parse. */
  readonly knownDeadlineSql: string
  /** The same as `deadlineSql` for rows that are due, or were just given their deadline, which cannot be infinity. Postgres has less to plan. */
  readonly finiteDeadlineSql: string
  /** The same as `finiteDeadlineSql`, for a statement that also contains `onlyOfInstantSql` and so is known to read an instant. */
  readonly writtenDeadlineSql: string
  /** What to write for "no timer". */
  readonly noTimerSql: string
  /** How long the kind was held lately, which does not count towards `staleAfter`: the last value from held-time.ts. */
  heldMs = 0
  /** `from`, cast to the attribute's type; empty for a condition. */
  readonly from: readonly Status[]
  readonly statusAttribute: string | undefined

  constructor(
    readonly table: OrderTable,
    private readonly options: GuardOptions,
  ) {
    const { applies, where, deadline, pausedWhile, unless, backfilled = false } = options
    this.statusAttribute = 'status' in applies ? applies.status : undefined
    this.from = 'status' in applies ? applies.from.map((value) => table.status('"from"', applies.status, value)) : []
    if (deadline) this.deadlineColumn = table.column(table.instant(deadline.option, deadline.attribute).name)
    this.noTimerSql = backfilled ? NO_TIMER_AT : 'NULL'
    const instant = this.deadlineColumn && instantSql(this.deadlineColumn)
    this.finiteDeadlineSql = this.deadlineOver(instant)
    this.writtenDeadlineSql = this.deadlineOver(this.deadlineColumn)
    const within = `${this.deadlineColumn} >= ${FIRST_AT} AND ${this.deadlineColumn} <= ${LAST_AT}`
    const unlessInfinite = (sql: string) => (instant === undefined ? sql : `(CASE WHEN ${within} THEN ${sql} END)`)
    this.deadlineSql = unlessInfinite(this.finiteDeadlineSql)
    this.knownDeadlineSql = unlessInfinite(this.writtenDeadlineSql)

    const own = 'status' in applies ? table.isOneOf(applies.status, this.from) : this.required('"where"', applies.where)
    this.scopeSql = this.rendered(`the scope of ${table.model.name}`, table.scope)
    this.appliesSql = allOf([this.scopeSql, own, unless && `NOT ${unless}`])
    this.whereSql = this.rendered('"where"', where)
    const paused = pausedWhile && this.required('"pause.while"', pausedWhile)
    this.pausedSql = paused && `${paused} IS TRUE`
    this.notPausedSql = paused && `${paused} IS NOT TRUE`
    this.notDeletedSql = table.notDeleted()
    this.eligibleSql = allOf([this.whereSql, this.notPausedSql])
  }

  get staleAfterMs(): number {
    return this.options.staleAfterMs
  }

  /** An order that was due before this instant is stale: a person should check it first. */
  get staleLineSql(): string {
    return `now() - ${this.staleAfterSql}`
  }

  /** Due by Postgres's clock, and not stale. */
  get dueSql(): Condition {
    if (!this.options.deadline) return undefined
    const { waitedSql } = this
    const fresh = this.deadlineIs('>', this.staleLineSql)
    return allOf([this.deadlineIs('<=', 'now()'), waitedSql ? `(${fresh} OR ${waitedSql})` : fresh])
  }

  /** Overdue for longer than `staleAfter`. */
  get staleSql(): string {
    if (!this.options.deadline) return 'FALSE'
    const { waitedSql } = this
    return allOf([this.deadlineIs('<=', this.staleLineSql), `${this.deadlineColumn} >= ${FIRST_AT}`, waitedSql && `NOT ${waitedSql}`])
  }

  /** It was not stale when it was first asked about under `verify`: the time of waiting for an answer does not count. */
  get waitedSql(): Condition {
    const { unverifiedSince } = this.options
    return unverifiedSince && `coalesce(${this.deadlineIs('>', `${unverifiedSince} - ${this.staleAfterSql}`)}, FALSE)`
  }

  private get staleAfterSql(): string {
    return intervalSql(this.options.staleAfterMs + this.heldMs)
  }

  /** `deadline <operator> instant`, with only the column on the left, so that an index on it can be used. */
  deadlineIs(operator: '<=' | '>' | '<' | '>=', instant: string): string {
    const plusMs = this.options.deadline?.plusMs
    return `${this.deadlineColumn} ${operator} ${instant}${plusMs ? ` - ${intervalSql(plusMs)}` : ''}`
  }

  /**
   * To be settled now; for rows that are found by their ids. The CASE prevents Postgres from using an index on the deadline or the
   * status, and from underestimating the number of rows if its statistics are older than the due orders.
   */
  get settlesSql(): string {
    const conditions = allOf([this.appliesSql, this.dueSql, this.eligibleSql, this.notDeletedSql])
    return `CASE WHEN ${conditions} THEN TRUE ELSE FALSE END`
  }

  /** What the rule applies to, as text for an error. */
  get inWords(): string {
    const conditions = this.statusAttribute ? [this.from.map(show).join(' or ')] : ['orders for which its "where" holds']
    if (this.statusAttribute && this.options.where !== undefined) conditions.push('its "where" must hold')
    if (this.scopeSql) conditions.push('the scope of its model must hold')
    return conditions.join(', and ')
  }

  /** `deadlineSql` where the row has the alias of another model of the table. */
  deadlineUnder(alias: string): string {
    return this.deadlineSql.replaceAll(`${this.table.alias}.`, () => `${alias}.`)
  }

  private deadlineOver(instant: string | undefined): string {
    if (instant === undefined) return 'NULL::timestamptz'
    const { deadline, backfilled } = this.options
    const start = backfilled ? `NULLIF(${instant}, ${NO_TIMER_AT})` : instant
    return deadline?.plusMs ? `(${start} + ${intervalSql(deadline.plusMs)})` : `(${start})`
  }

  /** @throws OrderTimersError INVALID_MODEL if it is no `where` of Sequelize's, or needs a table that is not joined */
  private rendered(option: string, where: WhereOptions | undefined): Condition {
    const { table } = this
    const joined = joinedColumn(table.model, where)
    if (joined !== undefined) {
      const remedy = `say it as literal('EXISTS (SELECT 1 FROM … WHERE … = "${table.model.name}"."${table.idAttribute}")')`
      throw table.invalid(`${option} names ${show(joined)}, a column of another table, and no other table is joined; ${remedy}`)
    }
    try {
      return table.where(where)
    } catch (cause) {
      throw table.invalid(`${option} must be a "where" as Sequelize's findAll takes it (${errorText(cause)})`, cause)
    }
  }

  /** @throws OrderTimersError INVALID_MODEL if it says nothing, and so would hold for every row */
  private required(option: string, where: WhereOptions): string {
    const condition = this.rendered(option, where)
    if (condition !== undefined) return condition
    throw this.table.invalid(`${option} must be a condition on a row, such as { isPaid: false }, got ${show(where)}`)
  }
}
