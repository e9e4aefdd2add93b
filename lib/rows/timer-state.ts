// An order's timer as its row has it: the reads behind `remaining` and `list`, and behind the reasons for a refused write.

import type { Model, Transaction } from 'sequelize'
import { OrderTimersError, show } from '../errors.js'
import { rows } from '../sequelize/database.js'
import { storedValue } from '../sequelize/values.js'
import { allOf } from './conditions.js'
import type { RowGuard } from './guard.js'
import { epochMsSql, timeLeftMsSql } from './instant-sql.js'
import type { DeclaredColumn } from './row-options.js'

/** An order's row under a rule. */
export interface RowState {
  inFrom: boolean
  status: unknown
  /** Milliseconds since 1970; null if there is none, or the timer is paused. */
  deadline: number | null
  remainingMs: number | null
  paused: boolean
  /** How often, or by how many milliseconds, it was extended. */
  extended: number
}

interface StateRow {
  id: unknown
  status: unknown
  in_from: boolean
  deadline: number | null
  remaining_ms: number | null
  paused: boolean
  extended: number
}

/** Reads the states of a rule's orders; it does not ask whether Redis has their timers. */
export class TimerStates {
  /** The statement up to the comparison of the id. */
  private readonly select: string

  constructor(
    private readonly kind: string,
    private readonly guard: RowGuard,
    { pause, extensions }: Partial<DeclaredColumn> = {},
  ) {
    const { table, statusAttribute } = guard
    const paused = pause ? `(${table.column(pause.keep)} IS NOT NULL OR ${guard.pausedSql ?? 'FALSE'})` : 'FALSE'
    this.select = `SELECT ${table.id}::text AS id, ${statusAttribute ? table.column(statusAttribute) : 'NULL'} AS status,
  (${allOf([guard.appliesSql, guard.whereSql, guard.notDeletedSql])}) IS TRUE AS in_from, ${paused} AS paused,
  ${extensions ? extendedSql(guard, extensions.attribute) : '0'} AS extended,
  CASE WHEN NOT ${paused} THEN ${epochMsSql(guard.deadlineSql)} END AS deadline,
  ${timeLeftMsSql(guard.knownDeadlineSql, 'clock_timestamp()')}::float8 AS remaining_ms
FROM ${table.aliased} WHERE ${table.id} =`
  }

  /** @throws OrderTimersError ORDER_NOT_FOUND */
  async read(id: string, transaction: Transaction | null | undefined): Promise<RowState> {
    const state = await this.find(id, transaction)
    if (state) return state
    throw this.notFound(id)
  }

  async find(id: string, transaction: Transaction | null | undefined): Promise<RowState | undefined> {
    const [row] = await rows<StateRow>(this.guard.table.sequelize, `${this.select} $1`, [id], transaction ?? null)
    return row && stateOf(row)
  }

  /** By id; an order that does not exist is left out. */
  async findAll(ids: readonly string[], transaction: Transaction | null | undefined): Promise<Map<string, RowState>> {
    const { table } = this.guard
    const found = await rows<StateRow>(table.sequelize, `${this.select} ANY($1)`, [ids], transaction ?? null)
    return new Map(found.map((row) => [table.parseId(row.id) as string, stateOf(row)]))
  }

  /** The same, with the rows locked until the transaction ends. An order whose row another transaction has locked is also left out. */
  async lockAll(ids: readonly string[], transaction: Transaction): Promise<Map<string, RowState>> {
    const { table } = this.guard
    const sql = `${this.select} ANY($1) FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`
    const found = await rows<StateRow>(table.sequelize, sql, [ids], transaction)
    return new Map(found.map((row) => [table.parseId(row.id) as string, stateOf(row)]))
  }

  /** Of these, the orders whose deadline allows settling now. */
  async dueOf(ids: readonly string[], transaction: Transaction): Promise<Set<string>> {
    const { table, dueSql } = this.guard
    const sql = `SELECT ${table.id}::text AS id FROM ${table.aliased} WHERE ${allOf([`${table.id} = ANY($1)`, dueSql])}`
    const found = await rows<{ id: string }>(table.sequelize, sql, [ids], transaction)
    return new Set(found.map(({ id }) => table.parseId(id) as string))
  }

  /** Whether the rule applies to an instance's status. If not, the row must be read, since the instance may be outdated. */
  saysInFrom(instance: Model): boolean {
    const { statusAttribute, from } = this.guard
    if (statusAttribute === undefined) return true
    const status = storedValue(instance, statusAttribute)
    return status === undefined || from.some((value) => String(value) === String(status))
  }

  notFound(id: string): OrderTimersError {
    return new OrderTimersError('ORDER_NOT_FOUND', `orderTimers: ${this.kind}: there is no ${this.order(id)}`)
  }

  notInFrom(id: string, { status }: Pick<RowState, 'status'>): OrderTimersError {
    const { statusAttribute, inWords } = this.guard
    const now = statusAttribute ? ` has ${statusAttribute} ${show(status)}` : ' is none of those'
    const message = `orderTimers: ${this.kind}: ${this.order(id)}${now}; the rule applies to ${inWords}`
    return new OrderTimersError('ORDER_NOT_IN_FROM', message)
  }

  private order(id: string): string {
    return `${this.guard.table.model.name} ${show(id)}`
  }
}

/** How often, or by how many milliseconds, an order was extended; 0 where its column is NULL. */
export function extendedSql({ table }: RowGuard, attribute: string): string {
  return `coalesce(${table.column(attribute)}, 0)`
}

function stateOf(row: StateRow): RowState {
  return {
    inFrom: row.in_from,
    status: row.status,
    deadline: row.deadline,
    remainingMs: row.deadline === null ? null : row.remaining_ms,
    paused: row.paused,
    extended: Number(row.extended),
  }
}
