// The SQL of settling a rule's orders. The guard is in the settling UPDATE itself, so it is safe to try any order at any time: it is settled
// once, and never early. $1 is always the orders' ids.

import { allOf } from './conditions.js'
import { NOT_IN_FROM } from './guard.js'
import { epochMsSql, remainingMsSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'
import { columnOf } from './row-options.js'
import type { Cascade, SettledRows } from './row-rule.js'
import type { Proofs } from './settlement.js'

export interface SettlementOptions {
  row: SettledRows
  /** Whether the shop's own code gets the orders as instances. */
  takesInstances: boolean
  /**
   * For the history: the INSERT of a row for each order of `source`. $2 is the path that brought the orders, $3 the worker. Under `verify`, `proofs` is the
   * parameter with the proof for each order.
   */
  record: ((source: string, proofs: string | undefined) => string) | undefined
}

/** One order that the settling statement has taken. */
export interface SettledRow {
  order_timers_id: string | number
  order_timers_deadline_ms: number | null
  /** Whether the rule still applies to the row after the UPDATE, which only a trigger can cause. */
  order_timers_still?: boolean | null
  order_timers_entry?: string
  [column: string]: unknown
}

/** Why an order was not settled. */
export interface UnsettledRow {
  id: string | number
  applies: boolean | null
  paused: boolean
  eligible: boolean | null
  stale: boolean | null
  remaining_ms: number | null
  /** Under `verify`: the row's xmin. */
  xmin?: string
}

// Our own names within a statement begin with order_timers_, since the shop's models and tables may have any name.
const ID = 'order_timers_id'
const DEADLINE = 'order_timers_deadline'
const DEADLINE_MS = 'order_timers_deadline_ms'
const FROM = 'order_timers_from'
const STILL = 'order_timers_still'
const DUE = 'order_timers_due'
const MOVED = 'order_timers_moved'
const HISTORY_ROWS = 'order_timers_history_rows'

/** The column with the deadline of the timer that the settling UPDATE starts under another rule. */
export function startedColumn(index: number): string {
  return `order_timers_started_${index}`
}

interface Texts {
  /** Why orders were not settled. */
  classify: string
  /** The orders that `take` would take, without a lock and without a write. */
  dryRun: string
  /** An order that is still due. */
  stillDue: string
  /** The due orders that no transaction has locked; under `verify` with their xmin. */
  lockable: string
  /** Locks the due orders, writes what needs no instances, and returns the orders. */
  take: string
}

export class SettlementSql {
  /** The rule's `set`. */
  private readonly set: string[]
  private linked: Cascade | undefined
  private made: Texts | undefined
  /** The guard's time of holds when the texts were built. */
  private heldMs = 0

  constructor(private readonly options: SettlementOptions) {
    this.set = options.row.guard.table.assignments(options.row.set ?? {})
  }

  /** The statements, built once. */
  get texts(): Texts {
    const { heldMs } = this.options.row.guard
    if (this.made && this.heldMs === heldMs) return this.made
    this.heldMs = heldMs
    this.made = this.written()
    return this.made
  }

  private written(): Texts {
    const { row } = this.options
    const { guard } = row
    const { pause } = columnOf(row.options) ?? {}
    const { table } = guard
    const someDue = `${table.id} = ANY($1) AND ${guard.settlesSql}`
    const xmin = row.verification ? `, ${table.alias}.xmin::text AS xmin` : ''
    const classify = `SELECT ${table.id}::text AS id, ${allOf([guard.appliesSql, guard.notDeletedSql])} AS applies, ${guard.eligibleSql} AS eligible,
  ${pause ? `${table.column(pause.keep)} IS NOT NULL` : 'FALSE'} AS paused,
  ${guard.staleSql} AS stale${xmin},
  ${remainingMsSql(guard.deadlineSql, 'now()')}::float8 AS remaining_ms
FROM ${table.aliased} WHERE ${table.id} = ANY($1)`
    const dryRun = `SELECT ${table.id}::text AS ${ID}, ${epochMsSql(guard.deadlineSql)} AS ${DEADLINE_MS} FROM ${table.aliased} WHERE ${someDue}`
    const stillDue = `${this.marking()}SELECT ${table.id}::text AS id FROM ${table.aliased} WHERE ${someDue} LIMIT 1`
    const lockable = `SELECT ${table.id}::text AS id${xmin} FROM ${table.aliased} WHERE ${someDue}
FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`
    return { classify, dryRun, stillDue, lockable, take: this.taking() }
  }

  /** Assignments of `take` for other bound rules on the same table. */
  link(cascade: Cascade | undefined): void {
    this.linked = cascade
    this.made = undefined
  }

  get cascade(): Cascade | undefined {
    return this.linked
  }

  /** Whether `take` writes to the orders at all. */
  get writes(): boolean {
    return this.assignments().length > 0
  }

  /** The bind parameters of `take`. @param limit how many orders the brake lets pass, if the rule has a brake */
  bindTake(
    ids: readonly string[],
    { via, worker, proofs }: { via: string; worker: string; proofs?: Proofs | undefined },
    limit: number | undefined,
  ): unknown[] {
    const { row, record } = this.options
    const verified = row.verification ? [JSON.stringify(Object.fromEntries(proofs ?? []))] : []
    return [ids, ...(record ? [via, worker] : []), ...(row.brake ? [limit ?? null] : []), ...verified]
  }

  /** The parameter with the proofs, by id; undefined without `verify`. */
  private get proofs(): string | undefined {
    const { row, record } = this.options
    return row.verification && `$${2 + (record ? 2 : 0) + (row.brake ? 1 : 0)}`
  }

  private taking(): string {
    const { record } = this.options
    const updates = this.writes
    const due = `${DUE} AS (${this.due(updates)})`
    if (!record) return `WITH ${due}\n${updates ? this.update() : `SELECT *, ${deadlineMsSql(DUE)} FROM ${DUE}`}`
    const source = updates ? MOVED : DUE
    const parts = [due, ...(updates ? [`${MOVED} AS (${this.update()})`] : []), `${HISTORY_ROWS} AS (${record(source, this.proofs)})`]
    const answered = this.options.row.verification?.unverified.removeSql(source)
    if (answered) parts.push(`order_timers_answered AS (${answered})`)
    return `WITH ${parts.join(',\n')}\nSELECT *, ${deadlineMsSql(source)} FROM ${source} JOIN ${HISTORY_ROWS} ON order_timers_recorded = ${source}.${ID}::text`
  }

  /** The orders that are due, locked. @param updates whether an UPDATE follows, which then returns the rows */
  private due(updates: boolean): string {
    const { row, takesInstances, record } = this.options
    const { guard, move, brake } = row
    const { table } = guard
    const selected = [
      ...(takesInstances && !updates ? [`${table.alias}.*`] : []),
      `${table.id}${updates ? '' : '::text'} AS ${ID}`,
      `${guard.finiteDeadlineSql} AS ${DEADLINE}`,
      ...(record || this.linked ? [`${move ? `${table.column(move.status)}::text` : 'NULL::text'} AS ${FROM}`] : []),
    ]
    const limit = brake ? ` LIMIT ${record ? '$4' : '$2'}` : ''
    return `
  SELECT ${selected.join(', ')} FROM ${table.aliased}
  WHERE ${allOf([`${table.id} = ANY($1)`, guard.settlesSql, this.proofs && isProvenSql(table, this.proofs)])}
  ORDER BY ${table.id}${limit} FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED
`
  }

  private update(): string {
    const { row, takesInstances, record } = this.options
    const { guard, move } = row
    const { table } = guard
    const startedTimers = this.linked?.startedTimers ?? []
    const returned = [
      ...(takesInstances ? [`${table.alias}.*`] : []),
      `${DUE}.${ID}::text AS ${ID}`,
      ...(record ? [`${DUE}.${FROM}`, `${DUE}.${DEADLINE}`] : [deadlineMsSql(DUE)]),
      ...(move ? [`(${guard.appliesSql}) AS ${STILL}`] : []),
      ...startedTimers.map(({ deadline }, i) => `${epochMsSql(deadline)} AS ${startedColumn(i)}`),
    ]
    // The ids are compared once more so that Postgres finds the rows by their key; otherwise it would read the whole table.
    return `UPDATE ${table.aliased} SET ${this.assignments().join(', ')}
FROM ${DUE} WHERE ${table.id} = ${DUE}.${ID} AND ${table.id} = ANY($1)
RETURNING ${returned.join(', ')}`
  }

  /** The assignments of the settling UPDATE; none if instances are saved one by one, or if the shop's code does everything. */
  private assignments(): string[] {
    const { row } = this.options
    const { table } = row.guard
    const cleared = row.deadline.in === 'column' ? [`${table.bareColumn(row.deadline.attribute)} = ${NOT_IN_FROM}`] : []
    if (row.move?.individualHooks) return []
    if (!row.move) return cleared
    const moved = table.assignments({ [row.move.status]: row.move.to })
    return [...moved, ...cleared, ...table.bookkeeping(), ...this.set, ...(this.linked?.assignments ?? [])]
  }

  /**
   * For an effect under `backfill`: an order for which `where` still holds must have no timer, but NULL would be filled. One for which it
   * no longer holds keeps NULL, and gets a deadline if it returns.
   */
  private marking(): string {
    const { guard, deadline, move } = this.options.row
    if (move || deadline.in !== 'column' || guard.noTimerSql === NOT_IN_FROM) return ''
    const { table, appliesSql, notDeletedSql, noTimerSql, deadlineColumn } = guard
    return `WITH order_timers_marked AS (UPDATE ${table.aliased} SET ${table.bareColumn(deadline.attribute)} = ${noTimerSql}
WHERE ${allOf([`${table.id} = ANY($1)`, `${deadlineColumn} IS NULL`, appliesSql, notDeletedSql])})
`
  }
}

function deadlineMsSql(source: string): string {
  return `${epochMsSql(`${source}.${DEADLINE}`)} AS ${DEADLINE_MS}`
}

/** The row has not been written since `verify` asked about it. A lock does not change xmin. Like the whole condition, it is checked again on the locked row. */
function isProvenSql({ alias, id }: OrderTable, proofs: string): string {
  return `${alias}.xmin::text = (${proofs}::jsonb -> (${id}::text) ->> 'xmin')`
}
