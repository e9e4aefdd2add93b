// What must hold on an order's row for a rule to apply, as SQL conditions: still where the rule applies, `where`, not paused, not deleted, and
// the deadline passed by Postgres's clock. Every statement over a rule's rows is built from these, so that none has a guard of its own.

import type { WhereOptions } from 'sequelize'
import { errorText } from '../error-text.js'
import { show } from '../errors.js'
import { joinedColumn } from '../sequelize/where.js'
import { allOf, type Condition } from './conditions.js'
import { instantSql, intervalSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'

export type Status = number | string

/** Where a rule applies: to statuses (`transition`), or where a condition holds (`effect`). */
export type Applies = StatusApplies | { where: WhereOptions }

export interface StatusApplies {
  status: string
  from: readonly Status[]
}

export interface GuardOptions {
  applies: Applies
  /** More that must hold; where it does not, the order waits until it does. */
  where?: WhereOptions | undefined
  /** While this holds the timer is paused. */
  pausedWhile?: WhereOptions | undefined
  /** The attribute that the deadline is read from, and what to add to it; none where the deadline is in Redis alone. */
  deadline: { option: '"deadline"' | '"since"'; attribute: string; plusMs: number } | undefined
  /** Whether "no timer" is written as `NO_TIMER_AT` instead of NULL, since NULL is what `backfill` fills. */
  backfilled?: boolean
  staleAfterMs: number
  /** Where this holds, as SQL, the rule does not apply. */
  unless?: string
  /** Under `verify`: of an order, since when it waits for an answer, as SQL; NULL where it does not. */
  unverifiedSince?: string | undefined
}

/** What stands in the deadline's column for "no timer" where NULL would be filled by `backfill`. */
export const NO_TIMER_AT = "'9999-12-31 00:00:00+00'::timestamptz"

/** What stands there once an order has left `from`, also under `backfill`: if the order comes back, the deadline is filled again. */
export const NOT_IN_FROM = 'NULL'

export class RowGuard {
  /** Where the rule applies: in `from` (or where an effect's condition holds), and in the scope that the shop has chosen. */
  readonly appliesSql: string
  /** The rule's own `where`. */
  readonly whereSql: Condition
  /** `pause.while` holds. */
  readonly pausedSql: Condition
  readonly notPausedSql: Condition
  /** Under `paranoid`. */
  readonly notDeletedSql: Condition
  /** Nothing holds back an order that is due: neither `where` nor a pause. */
  readonly eligibleSql: string
  /** The column with the deadline, or with what it is counted from. */
  readonly deadlineColumn: string | undefined
  /** The deadline as an expression; NULL where the row has none. No statement with it runs over a column without time zone. */
  readonly deadlineSql: string
  /** The same, for a statement that has `deadlineSql` elsewhere and so is known to read an instant. Postgres has less to parse. */
  readonly knownDeadlineSql: string
  /** What to write for "no timer". */
  readonly noTimerSql: string
  /** How long the kind was held lately, which does not count towards `staleAfter`: as held-time.ts has read it last. */
  heldMs = 0
  /** `from`, cast as the attribute's type has it; empty for a condition. */
  readonly from: readonly Status[]
  readonly statusAttribute: string | undefined
  private readonly isScoped: boolean

  constructor(
    readonly table: OrderTable,
    private readonly options: GuardOptions,
  ) {
    const { applies, where, deadline, pausedWhile, unless, backfilled = false } = options
    this.statusAttribute = 'status' in applies ? applies.status : undefined
    this.from = 'status' in applies ? applies.from.map((value) => table.status('"from"', applies.status, value)) : []
    if (deadline) this.deadlineColumn = table.column(table.instant(deadline.option, deadline.attribute).name)
    this.noTimerSql = backfilled ? NO_TIMER_AT : 'NULL'
    this.deadlineSql = this.deadlineOver(this.deadlineColumn && instantSql(this.deadlineColumn))
    this.knownDeadlineSql = this.deadlineOver(this.deadlineColumn)

    const own = 'status' in applies ? table.isOneOf(applies.status, this.from) : this.required('"where"', applies.where)
    const inScope = this.rendered(`the scope of ${table.model.name}`, table.scope)
    this.isScoped = inScope !== undefined
    this.appliesSql = allOf([inScope, own, unless && `NOT ${unless}`])
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

  /** What is due before this instant is stale: overdue for so long that a person should look first. */
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
    return allOf([this.deadlineIs('<=', this.staleLineSql), waitedSql && `NOT ${waitedSql}`])
  }

  /** It was not stale when it was first asked about under `verify`: the time in which it waits for an answer does not count. */
  get waitedSql(): Condition {
    const { unverifiedSince } = this.options
    return unverifiedSince && `coalesce(${this.deadlineIs('>', `${unverifiedSince} - ${this.staleAfterSql}`)}, FALSE)`
  }

  private get staleAfterSql(): string {
    return intervalSql(this.options.staleAfterMs + this.heldMs)
  }

  /** `deadline <operator> instant`, with the column alone on the left, so that an index on it serves. */
  deadlineIs(operator: '<=' | '>' | '<' | '>=', instant: string): string {
    const plusMs = this.options.deadline?.plusMs
    return `${this.deadlineColumn} ${operator} ${instant}${plusMs ? ` - ${intervalSql(plusMs)}` : ''}`
  }

  /**
   * To be settled now; for rows that are found by their ids. The CASE keeps Postgres from finding them by an index on the deadline or the
   * status, and from taking them for few, where its statistics are older than what came due.
   */
  get settlesSql(): string {
    const conditions = allOf([this.appliesSql, this.dueSql, this.eligibleSql, this.notDeletedSql])
    return `CASE WHEN ${conditions} THEN TRUE ELSE FALSE END`
  }

  /** In words, for an error: what the rule applies to. */
  get inWords(): string {
    const conditions = this.statusAttribute ? [this.from.map(show).join(' or ')] : ['orders for which its "where" holds']
    if (this.statusAttribute && this.options.where !== undefined) conditions.push('its "where" must hold')
    if (this.isScoped) conditions.push('the scope of its model must hold')
    return conditions.join(', and ')
  }

  private deadlineOver(instant: string | undefined): string {
    if (instant === undefined) return 'NULL::timestamptz'
    const { deadline, backfilled } = this.options
    const start = backfilled ? `NULLIF(${instant}, ${NO_TIMER_AT})` : instant
    return deadline?.plusMs ? `(${start} + ${intervalSql(deadline.plusMs)})` : `(${start})`
  }

  /** @throws OrderTimersError INVALID_MODEL where it is no `where` of Sequelize's, or needs a table that is not joined */
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

  /** @throws OrderTimersError INVALID_MODEL where it says nothing, and so would hold for every row */
  private required(option: string, where: WhereOptions): string {
    const condition = this.rendered(option, where)
    if (condition !== undefined) return condition
    throw this.table.invalid(`${option} must say something of a row, such as { isPaid: false }, got ${show(where)}`)
  }
}
