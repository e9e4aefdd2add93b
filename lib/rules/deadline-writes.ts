// The guarded UPDATEs behind schedule, extend and cancel, and the reads behind remaining and list. Each writes the deadline alone,
// without the shop's hooks, validators, `updatedAt` or version, and only while the order is still in `from`.

import type { Model, Transaction } from 'sequelize'
import { OrderTimersError, show } from '../errors.js'
import { inTransaction, rows, sqlStateOf } from './database.js'
import { ALIAS } from './order-table.js'
import { RowGuard } from './row-guard.js'
import { quoteColumn } from './sequelize-sql.js'

/** How long a write waits for a row that somebody else has locked. */
const LOCK_WAIT_MS = 2_000
const LIMITS = { lockMs: LOCK_WAIT_MS, statementMs: LOCK_WAIT_MS, idleMs: 5_000 }

// SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html

/** lock_not_available; query_canceled, when several wait in line for one row. */
const WAITED_IN_VAIN = new Set(['55P03', '57014'])

/** serialization_failure, where the database's default isolation is stricter than READ COMMITTED; deadlock_detected. */
const ROLLED_BACK = new Set(['40001', '40P01'])

/** The deadlines before and after a write, milliseconds since 1970. */
export interface Written {
  before: number | null
  deadline: number | null
}

/** An order's row as a rule sees it. */
export interface RowState {
  inFrom: boolean
  status: unknown
  deadline: number | null
  remainingMs: number | null
}

type NewDeadline = { afterMs: number } | { atMs: number } | { byMs: number } | null

export class DeadlineWrites {
  private readonly id: string
  private readonly state: string

  constructor(
    private readonly kind: string,
    private readonly guard: RowGuard,
    private readonly statusAttribute: string,
    private readonly deadlineAttribute: string | undefined,
  ) {
    const { table } = guard
    this.id = table.column(table.idAttribute)
    this.state = `SELECT ${table.column(statusAttribute)} AS status, (${guard.inFrom('$2')}${guard.where}${guard.paranoid}) IS TRUE AS in_from,
  ${RowGuard.epochMs(guard.deadline)} AS deadline,
  greatest(0, ceil(extract(epoch from ${guard.deadline} - clock_timestamp()) * 1000))::float8 AS remaining_ms
FROM ${this.from} WHERE ${this.id} = $1`
  }

  /**
   * @param value from now by Postgres's clock, an instant, so much more than now stands there, or no deadline
   * @throws OrderTimersError ORDER_NOT_FOUND, ORDER_NOT_IN_FROM, NO_TIMER, ROW_LOCKED
   */
  async write(id: string, value: NewDeadline, transaction: Transaction | null | undefined): Promise<Written> {
    const { table, from } = this.guard
    const column = table.bareColumn(this.deadlineAttribute as string)
    const target = newDeadline(value, column)
    const sql = (lock: string) => `WITH old AS (
  SELECT ${this.id} AS id, ${this.guard.deadline} AS deadline FROM ${this.from}
  WHERE ${this.id} = $1 AND ${this.guard.inFrom('$2')}${this.guard.where}${this.guard.paranoid}
    ${value && 'byMs' in value ? `AND ${this.guard.deadlineColumn} IS NOT NULL` : ''}
  ${lock}
)
UPDATE ${this.from} SET ${column} = ${target.sql} FROM old WHERE ${this.id} = old.id
RETURNING ${RowGuard.epochMs('old.deadline')} AS before, ${RowGuard.epochMs(this.guard.deadline)} AS deadline`
    const bind = [id, from, ...target.bind]
    const write = (lock: string, within: Transaction | null) => rows<Written>(table.sequelize, sql(lock), bind, within)
    const [written] = transaction ? await write('FOR NO KEY UPDATE', transaction) : await this.alone(id, write)
    return written ?? this.refuse(id, transaction)
  }

  /** @throws OrderTimersError ORDER_NOT_FOUND */
  async read(id: string, transaction: Transaction | null | undefined): Promise<RowState> {
    const state = await this.find(id, transaction)
    if (state) return state
    throw new OrderTimersError('ORDER_NOT_FOUND', `orderTimers: ${this.kind}: there is no ${this.guard.table.model.name} ${show(id)}`)
  }

  async find(id: string, transaction: Transaction | null | undefined): Promise<RowState | undefined> {
    const { table, from } = this.guard
    type Row = { status: unknown; in_from: boolean; deadline: number | null; remaining_ms: number | null }
    const [row] = await rows<Row>(table.sequelize, this.state, [id, from], transaction ?? null)
    return (
      row && {
        inFrom: row.in_from,
        status: row.status,
        deadline: row.deadline,
        remainingMs: row.deadline === null ? null : row.remaining_ms,
      }
    )
  }

  /** Says why a guarded write or an arming found no row to act on. */
  async refuse(id: string, transaction: Transaction | null | undefined): Promise<never> {
    const state = await this.read(id, transaction)
    const order = `${this.guard.table.model.name} ${show(id)}`
    if (state.inFrom) {
      const remedy = `call schedule('${this.kind}', …) first`
      throw new OrderTimersError('NO_TIMER', `orderTimers: ${this.kind}: ${order} has no deadline to extend; ${remedy}`)
    }
    throw this.notInFrom(id, state)
  }

  /** For where the row itself is not asked. @throws OrderTimersError ORDER_NOT_IN_FROM where the instance has another status */
  requireInstanceInFrom(id: string, instance: Model): void {
    const status: unknown = instance.get(this.statusAttribute)
    if (status === undefined || this.guard.from.some((value) => String(value) === String(status))) return
    throw this.notInFrom(id, { status })
  }

  notInFrom(id: string, state: Pick<RowState, 'status'>): OrderTimersError {
    const from = this.guard.from.map(show).join(' or ')
    const where = this.guard.where ? ', and its "where" must hold' : ''
    const now = `${this.guard.table.model.name} ${show(id)} has ${this.statusAttribute} ${show(state.status)}`
    return new OrderTimersError('ORDER_NOT_IN_FROM', `orderTimers: ${this.kind}: ${now}; the rule applies to ${from}${where}`)
  }

  private get from(): string {
    return `${this.guard.table.table} AS ${quoteColumn(this.guard.table.model, ALIAS)}`
  }

  /** In a transaction of its own: at once where the row is free, else waiting for it, with a limit. */
  private async alone(id: string, write: (lock: string, within: Transaction | null) => Promise<Written[]>): Promise<Written[]> {
    try {
      const written = await write('FOR NO KEY UPDATE SKIP LOCKED', null)
      if (written.length > 0) return written
    } catch (error) {
      if (!ROLLED_BACK.has(sqlStateOf(error) ?? '')) throw error
    }
    try {
      return await inTransaction(this.guard.table.sequelize, LIMITS, (own) => write('FOR NO KEY UPDATE', own))
    } catch (cause) {
      if (!WAITED_IN_VAIN.has(sqlStateOf(cause) ?? '')) throw cause
      const order = `${this.guard.table.model.name} ${show(id)}`
      const remedy = 'if that is a transaction of this very request, pass { transaction }'
      const message = `orderTimers: ${this.kind}: ${order} is locked by another transaction, waited ${LOCK_WAIT_MS} ms; ${remedy}`
      throw new OrderTimersError('ROW_LOCKED', message, { cause })
    }
  }
}

/** The new deadline in SQL, in whole milliseconds of Postgres's clock; its parameter is $3. */
function newDeadline(value: NewDeadline, column: string): { sql: string; bind: number[] } {
  if (value === null) return { sql: 'NULL', bind: [] }
  if ('atMs' in value) return { sql: `to_timestamp($3::float8 / 1000)`, bind: [value.atMs] }
  const by = "$3::float8 * interval '1 millisecond'"
  if ('byMs' in value) return { sql: `${ALIAS}.${column} + ${by}`, bind: [value.byMs] }
  return { sql: `date_trunc('milliseconds', clock_timestamp()) + ${by}`, bind: [value.afterMs] }
}
