// What must hold on an order's row for a rule to apply, as SQL fragments: still where the rule applies, `where`, not paused, not deleted, and
// the deadline passed by Postgres's clock. Every statement of a row rule is put together from these, so that none can have a guard of
// its own.

import type { WhereOptions } from 'sequelize'
import { errorText } from '../error-text.js'
import { show } from '../errors.js'
import { joinedColumn } from '../sequelize/sql.js'
import { instantSql } from './instants.js'
import type { OrderTable } from './order-table.js'

export type Status = number | string

/** Where a rule applies: to statuses (`transition`), or where a condition holds (`effect`). */
export type Applies = { status: string; from: readonly Status[] } | { where: WhereOptions }

export interface GuardOptions {
  applies: Applies
  /** More that must hold; an order that it holds back stays until it holds no longer. */
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
}

/** What stands in the deadline's column for "no timer" where NULL would be filled by `backfill`. */
export const NO_TIMER_AT = "'9999-12-31 00:00:00+00'::timestamptz"

/** What stands there once an order has left `from`, also under `backfill`: should it come back, it is filled again. */
export const NOT_IN_FROM = 'NULL'

export class RowGuard {
  /** Where the rule applies, over the columns of `ALIAS`. */
  readonly applies: string
  /** The rest of the conditions, each beginning with AND, or nothing. */
  readonly where: string
  readonly notPaused: string
  readonly paranoid: string
  /** The column with the deadline, or with what it is counted from. */
  readonly deadlineColumn: string | undefined
  /** `from`, cast as the attribute's type has it; empty for a condition. */
  readonly from: readonly Status[]
  readonly statusAttribute: string | undefined
  private readonly inScope: boolean
  private readonly plus: string

  constructor(
    readonly table: OrderTable,
    private readonly options: GuardOptions,
  ) {
    const { applies, deadline, pausedWhile } = options
    this.statusAttribute = 'status' in applies ? applies.status : undefined
    this.from = 'status' in applies ? applies.from.map((value) => table.status('"from"', applies.status, value)) : []
    if (deadline) this.deadlineColumn = table.column(table.instant(deadline.option, deadline.attribute).name)
    this.plus = deadline?.plusMs ? ` + ${milliseconds(deadline.plusMs)}` : ''
    const own = 'status' in applies ? table.isOneOf(applies.status, this.from) : this.condition('"where"', applies.where)
    const scope = table.inScope()
    this.inScope = scope !== ''
    const applying = scope === '' ? own : `${scope} AND ${own}`
    this.applies = options.unless === undefined ? applying : `${applying} AND NOT ${options.unless}`
    this.where = and(this.rendered('"where"', options.where))
    this.notPaused = pausedWhile ? ` AND ${this.condition('"pause.while"', pausedWhile)} IS NOT TRUE` : ''
    this.paranoid = and(table.notDeleted())
  }

  /** The deadline as an expression; NULL where the row has none. No statement with it runs over a column without time zone. */
  get deadline(): string {
    return this.deadlineOver(instantSql)
  }

  /** The same, for a statement that has `deadline` elsewhere and so is known to read an instant. Postgres has less to parse. */
  get knownDeadline(): string {
    return this.deadlineOver((column) => column)
  }

  private deadlineOver(read: (column: string) => string): string {
    if (this.deadlineColumn === undefined) return 'NULL::timestamptz'
    const instant = read(this.deadlineColumn)
    const column = this.options.backfilled ? `NULLIF(${instant}, ${NO_TIMER_AT})` : instant
    return `(${column}${this.plus})`
  }

  /** What to write for "no timer". */
  get noTimer(): string {
    return this.options.backfilled ? NO_TIMER_AT : 'NULL'
  }

  /** `deadline <operator> instant`, with the column alone on the left, so that an index on it serves. */
  deadlineIs(operator: '<=' | '>' | '<' | '>=', instant: string): string {
    return `${this.deadlineColumn} ${operator} ${instant}${this.plus.replace(' + ', ' - ')}`
  }

  /** Due by Postgres's clock, and not overdue for so long that a person should look first. Begins with AND. */
  get due(): string {
    if (this.deadlineColumn === undefined) return ''
    return ` AND ${this.deadlineIs('<=', 'now()')} AND ${this.deadlineIs('>', this.staleLine)}`
  }

  /** What holds an order back that is due: its `where`, a pause. Each begins with AND. */
  get eligible(): string {
    return this.where + this.notPaused
  }

  /**
   * To be settled now; for rows that are found by their ids. The CASE keeps Postgres from finding them by an index on the deadline or the
   * status, and from taking them for few, where its statistics are older than what came due.
   */
  get settles(): string {
    return `CASE WHEN ${this.applies}${this.due}${this.eligible}${this.paranoid} THEN TRUE ELSE FALSE END`
  }

  /** In words, for an error: what the rule applies to. */
  get inWords(): string {
    const conditions = this.statusAttribute ? [this.from.map(show).join(' or ')] : ['orders for which its "where" holds']
    if (this.statusAttribute && this.options.where !== undefined) conditions.push('its "where" must hold')
    if (this.inScope) conditions.push('the scope of its model must hold')
    return conditions.join(', and ')
  }

  /** What is due before this instant is stale. */
  get staleLine(): string {
    return `now() - ${milliseconds(this.options.staleAfterMs)}`
  }

  /**
   * Whole milliseconds of an instant, rounded up: never before it. By way of whole microseconds, Postgres's own unit, since seconds with a
   * fraction are not exact; and by `date_part`, since `extract` computes in numeric, which takes three times as long
   * (https://www.postgresql.org/docs/current/functions-datetime.html#FUNCTIONS-DATETIME-EXTRACT).
   */
  static epochMs(instant: string): string {
    return `ceil(round(date_part('epoch', ${instant}) * 1000000) / 1000)`
  }

  /** @throws OrderTimersError INVALID_MODEL where it is no `where` of Sequelize's, or needs a table that is not joined */
  private rendered(option: string, where: WhereOptions | undefined): string {
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
  private condition(option: string, where: WhereOptions): string {
    const condition = this.rendered(option, where)
    if (condition !== '') return condition
    throw this.table.invalid(`${option} must say something of a row, such as { isPaid: false }, got ${show(where)}`)
  }
}

export function milliseconds(count: number): string {
  return `${count} * interval '1 millisecond'`
}

function and(condition: string): string {
  return condition === '' ? '' : ` AND ${condition}`
}
