// The guarded UPDATEs behind schedule, extend, cancel, pause and resume, as SQL. Each writes the deadline and the attributes that belong to it, and only
// while the rule applies to the order. $1 is the order's id.

import { allOf, type Condition } from './conditions.js'
import type { RowGuard } from './guard.js'
import { boundIntervalSql, CLOCK, epochMsSql, instantOfMsSql, intervalSql, onlyOfInstantSql, timeLeftMsSql } from './instant-sql.js'
import type { DeclaredColumn } from './row-options.js'
import { extendedSql } from './timer-state.js'

/** A time from now by Postgres's clock; an instant; a time to add; null: none; or pause it, resume it, or make it due now. */
export type NewDeadline = { afterMs: number } | { atMs: number } | { byMs: number } | null | 'pause' | 'resume' | 'settle'

/** What the UPDATE returns. Deadlines are milliseconds since 1970. `before`: only if the write removes the deadline. */
export interface WrittenRow {
  before?: number | null
  deadline: number | null
  kept: unknown
  extended: unknown
}

/** How long to wait for the lock of the order's row: hardly, for a statement without a transaction of its own, or as long as the transaction's limits allow. */
export type LockWait = 'hardly' | 'as limited'

/** `lock_timeout` of a statement that waits hardly. */
const HARDLY_MS = 100

/**
 * TRUE OR …, in parentheses, whose other conditions Postgres parses and does not carry out. It is an error (undefined_column) on a view: a trigger (INSTEAD OF)
 * or a rule may carry out the UPDATE of a view, and then Postgres neither locks the row that the UPDATE has read nor looks at it again. And it is an error
 * (undefined_function) where the deadline's column is no instant.
 */
const onlyOnTableWithInstant = ({ table, deadlineColumn }: RowGuard) =>
  `(TRUE OR ${table.alias}.xmax IS NULL OR ${onlyOfInstantSql(deadlineColumn as string)})`

/**
 * Sets `lock_timeout` for the one statement that is a transaction by itself, before the statement locks the row. To lock the row in a subquery with SKIP
 * LOCKED takes Postgres a tenth of the whole call.
 */
const hardlyWaiting = (guard: RowGuard) => `set_config('lock_timeout', '${HARDLY_MS}', ${onlyOnTableWithInstant(guard)}) IS NOT NULL`

/** What is returned is computed once the row is locked, so what the shop's AFTER triggers wait for has the whole time of the call. */
const unlimitedAgain = (returned: string) => `CASE WHEN set_config('lock_timeout', '0', TRUE) = '0' THEN ${returned} END`

/** What one write sets, and what must hold besides the guard. */
interface Change {
  assignments: string[]
  condition?: Condition
}

export class DeadlineSql {
  /** Each statement is built once: every call uses the same text. */
  private readonly texts = { hardly: new Map<string, string>(), 'as limited': new Map<string, string>() }
  /** Locks the order's row if the rule applies to it, and waits for that as limited. It returns one row. */
  readonly lock: string

  constructor(
    private readonly guard: RowGuard,
    private readonly column: DeclaredColumn,
  ) {
    this.lock = `SELECT 1 AS locked FROM ${guard.table.aliased} WHERE ${this.conditions()} FOR NO KEY UPDATE`
  }

  /**
   * @returns the statement; it changes no row if the guard or the change's own condition does not hold. On a view the one that waits hardly fails
   * (undefined_column)
   */
  of(value: NewDeadline, wait: LockWait): string {
    const name = nameOf(value)
    const texts = this.texts[wait]
    const known = texts.get(name)
    if (known !== undefined) return known
    const text = this.build(this.changeOf(value), wait, value === null || value === 'pause')
    texts.set(name, text)
    return text
  }

  /**
   * The same for many orders, whose rows the transaction has locked: `$1` is their ids. Returned are `id`, as text, and the deadline.
   */
  ofMany(value: NewDeadline): string {
    const { guard } = this
    const { table } = guard
    const { assignments, condition } = this.changeOf(value)
    const conditions = allOf([`${table.id} = ANY($1)`, guard.appliesSql, guard.whereSql, guard.notDeletedSql, condition])
    return `UPDATE ${table.aliased} SET ${assignments.join(', ')} WHERE ${conditions}
RETURNING ${table.id}::text AS id, ${epochMsSql(guard.finiteDeadlineSql)} AS deadline`
  }

  /** The bind parameters after the id. */
  bind(value: NewDeadline): unknown[] {
    if (value === null || typeof value === 'string') return []
    if ('atMs' in value) return [value.atMs]
    if ('afterMs' in value) return [value.afterMs]
    const { extensions } = this.column
    return extensions ? [value.byMs, extensions.most] : [value.byMs]
  }

  /**
   * What waits as limited locks the row first, so that the new deadline counts from when it has the lock. If nothing of the old row is returned, a subquery and
   * not a CTE does so: Postgres plans it much faster.
   */
  private build({ assignments, condition }: Change, wait: LockWait, takesAway: boolean): string {
    const { guard } = this
    const { table } = guard
    const { pause, extensions } = this.column
    const conditions = this.conditions(condition)
    const update = `UPDATE ${table.aliased} SET ${assignments.join(', ')}`
    const kept = [
      ...(pause ? [`${table.column(pause.keep)} AS kept`] : []),
      ...(extensions ? [`${table.column(extensions.attribute)} AS extended`] : []),
    ]
    if (!takesAway) {
      const locked = `${table.id} = (
  SELECT ${table.id} FROM ${table.aliased} WHERE ${conditions} FOR NO KEY UPDATE
)`
      const deadline = wait === 'hardly' ? unlimitedAgain(epochMsSql(guard.writtenDeadlineSql)) : epochMsSql(guard.finiteDeadlineSql)
      return `${update} WHERE ${wait === 'hardly' ? allOf([conditions, hardlyWaiting(guard)]) : locked}
RETURNING ${[`${deadline} AS deadline`, ...kept].join(', ')}`
    }
    const before = `${epochMsSql('order_timers_deadline')} AS before`
    return `WITH order_timers_old AS (
  SELECT ${table.id} AS order_timers_id, ${guard.deadlineSql} AS order_timers_deadline FROM ${table.aliased}
  WHERE ${wait === 'hardly' ? `${allOf([conditions, onlyOnTableWithInstant(guard)])}\n  FOR NO KEY UPDATE SKIP LOCKED` : `${conditions}\n  FOR NO KEY UPDATE`}
)
${update} FROM order_timers_old WHERE ${table.id} = order_timers_id
RETURNING ${[before, `${epochMsSql(guard.knownDeadlineSql)} AS deadline`, ...kept].join(', ')}`
  }

  private conditions(condition?: Condition): string {
    const { table, appliesSql, whereSql, notDeletedSql } = this.guard
    return allOf([`${table.id} = $1`, appliesSql, whereSql, notDeletedSql, condition])
  }

  private changeOf(value: NewDeadline): Change {
    const { guard } = this
    const { table } = guard
    const { pause } = this.column
    const { attribute } = this.column
    const deadline = table.bareColumn(attribute)
    const unpaused = pause ? [`${table.bareColumn(pause.keep)} = NULL`] : []
    if (value === null) return { assignments: [`${deadline} = ${guard.noTimerSql}`, ...unpaused] }
    if (value === 'pause') {
      const keep = table.bareColumn(pause?.keep as string)
      const left = `${timeLeftMsSql(guard.deadlineSql, 'clock_timestamp()')}::bigint`
      return { assignments: [`${keep} = ${left}`, `${deadline} = ${guard.noTimerSql}`], condition: `${guard.deadlineSql} IS NOT NULL` }
    }
    if (value === 'resume') {
      const kept = table.column(pause?.keep as string)
      return { assignments: [`${deadline} = ${CLOCK} + ${intervalSql(kept)}`, ...unpaused], condition: `${kept} IS NOT NULL` }
    }
    if (value === 'settle') return { assignments: [`${deadline} = ${CLOCK}`], condition: `${guard.deadlineSql} IS NOT NULL` }
    if ('byMs' in value) return this.extension(deadline, table.column(attribute))
    const start = 'atMs' in value ? instantOfMsSql('$2') : `${CLOCK} + ${boundIntervalSql('$2')}`
    return { assignments: [`${deadline} = ${start}`, ...unpaused, ...this.notExtended()] }
  }

  /** The deadline moves by $2. If the rule has a limit, the extension is counted, and refused beyond $3. */
  private extension(deadline: string, now: string): Change {
    const { guard } = this
    const { extensions } = this.column
    const moved = `${deadline} = ${now} + ${boundIntervalSql('$2')}`
    const hasTimer = `${guard.deadlineSql} IS NOT NULL`
    if (!extensions) return { assignments: [moved], condition: hasTimer }
    const extended = `${extendedSql(guard, extensions.attribute)} + ${extensions.unit === 'times' ? '1' : '$2::float8'}`
    return {
      assignments: [moved, `${guard.table.bareColumn(extensions.attribute)} = ${extended}`],
      condition: allOf([hasTimer, `${extended} <= $3::float8`]),
    }
  }

  /** A new deadline resets the count of extensions. */
  private notExtended(): string[] {
    const { extensions } = this.column
    return extensions ? [`${this.guard.table.bareColumn(extensions.attribute)} = NULL`] : []
  }
}

function nameOf(value: NewDeadline): string {
  if (value === null) return 'none'
  if (typeof value === 'string') return value
  if ('atMs' in value) return 'at'
  return 'afterMs' in value ? 'after' : 'by'
}
