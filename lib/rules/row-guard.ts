// What must hold on an order's row for a rule to apply, as SQL fragments: still in `from`, `where`, not deleted, and the deadline
// passed by Postgres's clock. Every statement of a row rule is put together from these, so that none can have a guard of its own.

import type { WhereOptions } from 'sequelize'
import type { OrderTable } from './order-table.js'

export interface GuardOptions {
  status: string
  from: readonly (number | string)[]
  to: number | string
  where: WhereOptions | undefined
  /** The attribute that the deadline is read from, and what to add to it; none where the deadline is in Redis alone. */
  deadline: { option: '"deadline"' | '"since"'; attribute: string; plusMs: number } | undefined
  staleAfterMs: number
}

export class RowGuard {
  readonly from: (number | string)[]
  readonly to: number | string
  /** `$n` is the parameter that carries `from`. */
  readonly inFrom: (parameter: string) => string
  /** The rest of the conditions, beginning with AND. */
  readonly where: string
  readonly paranoid: string
  /** The column with the deadline, or with what it is counted from. */
  readonly deadlineColumn: string | undefined
  private readonly plus: string

  constructor(
    readonly table: OrderTable,
    private readonly options: GuardOptions,
  ) {
    const { status, from, to, deadline } = options
    table.attribute('"status"', status)
    this.from = from.map((value) => table.status('"from"', status, value))
    this.to = table.status('"to"', status, to)
    this.inFrom = (parameter) => `${table.column(status)} = ANY(${parameter})`
    const conditions = table.conditions(options.where)
    this.where = conditions.where
    this.paranoid = conditions.paranoid
    if (deadline) this.deadlineColumn = table.column(table.instant(deadline.option, deadline.attribute).name)
    this.plus = deadline?.plusMs ? ` + ${milliseconds(deadline.plusMs)}` : ''
  }

  /** The deadline as an expression; NULL where the row has none. */
  get deadline(): string {
    return this.deadlineColumn === undefined ? 'NULL::timestamptz' : `(${this.deadlineColumn}${this.plus})`
  }

  /** `deadline <operator> instant`, with the column alone on the left, so that an index on it serves. */
  deadlineIs(operator: '<=' | '>' | '<', instant: string): string {
    return `${this.deadlineColumn} ${operator} ${instant}${this.plus.replace(' + ', ' - ')}`
  }

  /** Due by Postgres's clock, and not overdue for so long that a person should look first. Begins with AND. */
  get due(): string {
    if (this.deadlineColumn === undefined) return ''
    return ` AND ${this.deadlineIs('<=', 'now()')} AND ${this.deadlineIs('>', this.staleLine)}`
  }

  /** @throws OrderTimersError INVALID_MODEL where the table lacks a column of the rule's, or the deadline is without time zone */
  async checkTable(): Promise<void> {
    const { table, options } = this
    const columns = await table.columns()
    const named = [options.status, ...(options.deadline ? [options.deadline.attribute] : [])]
    for (const attribute of named) {
      const { field } = table.attribute('attribute', attribute)
      if (columns.has(field)) continue
      const type = attribute === options.status ? 'integer' : 'timestamptz'
      throw table.invalid(
        `the table ${table.table} has no column "${field}"; add it with ALTER TABLE ${table.table} ADD COLUMN "${field}" ${type}`,
      )
    }
    if (!options.deadline) return
    const { field } = table.attribute(options.deadline.option, options.deadline.attribute)
    const type = columns.get(field) ?? ''
    if (/^timestamp.* with time zone$/.test(type)) return
    const remedy = `ALTER TABLE ${table.table} ALTER COLUMN "${field}" TYPE timestamptz`
    throw table.invalid(`the column "${field}" of ${table.table} must be timestamp with time zone, it is ${type}; change it with ${remedy}`)
  }

  /** What is due before this instant is stale. */
  get staleLine(): string {
    return `now() - ${milliseconds(this.options.staleAfterMs)}`
  }

  /** Whole milliseconds of an instant, rounded up: never before it. */
  static epochMs(instant: string): string {
    return `ceil(extract(epoch from ${instant}) * 1000)::float8`
  }
}

function milliseconds(count: number): string {
  return `${count} * interval '1 millisecond'`
}
