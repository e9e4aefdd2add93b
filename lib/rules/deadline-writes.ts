// The guarded UPDATEs behind schedule, extend, cancel, pause and resume, and the reads behind remaining and list. Each writes the deadline alone,
// without the shop's hooks, validators, `updatedAt` or version, and only while the order is still in `from`.

import type { Model, Transaction } from 'sequelize'
import { OrderTimersError, show } from '../errors.js'
import { inTransaction, rows, sqlStateOf } from './database.js'
import { ALIAS } from './order-table.js'
import { RowGuard } from './row-guard.js'
import type { RowOptions } from './row-options.js'

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
  /** Whether it is paused. */
  paused: boolean
  /** How often, or by how many milliseconds, it was extended. */
  extended: number
}

/** From now by Postgres's clock, an instant, so much more than now stands there, no deadline; or put by what is left, and let it run again. */
export type NewDeadline = { afterMs: number } | { atMs: number } | { byMs: number } | null | 'pause' | 'resume'

/** What one write sets, on what condition (beginning with AND), and what it binds from $2 on. */
interface Change {
  set: string[]
  condition: string
  bind: unknown[]
}

export class DeadlineWrites {
  private readonly state: string

  constructor(
    private readonly kind: string,
    private readonly guard: RowGuard,
    private readonly options: RowOptions,
  ) {
    const { table } = guard
    const { pause, extensions } = options
    this.state = `SELECT ${guard.statusAttribute ? table.column(guard.statusAttribute) : 'NULL'} AS status,
  (${guard.applies}${guard.where}${guard.paranoid}) IS TRUE AS in_from, ${RowGuard.epochMs(guard.deadline)} AS deadline,
  ${pause ? `${table.column(pause.keep)} IS NOT NULL` : 'FALSE'} AS paused, ${extensions ? this.extended : '0'} AS extended,
  greatest(0, ceil(extract(epoch from ${guard.deadline} - clock_timestamp()) * 1000))::float8 AS remaining_ms
FROM ${table.aliased} WHERE ${table.id} = $1`
  }

  /** @throws OrderTimersError ORDER_NOT_FOUND, ORDER_NOT_IN_FROM, NO_TIMER, EXTENSION_LIMIT, ROW_LOCKED */
  async write(id: string, value: NewDeadline, transaction: Transaction | null | undefined): Promise<Written> {
    const { table } = this.guard
    const { set, condition, bind } = this.change(value)
    const sql = (lock: string) => `WITH old AS (
  SELECT ${table.id} AS id, ${this.guard.deadline} AS deadline FROM ${table.aliased}
  WHERE ${table.id} = $1 AND ${this.guard.applies}${this.guard.where}${this.guard.paranoid}${condition}
  ${lock}
)
UPDATE ${table.aliased} SET ${set.join(', ')} FROM old WHERE ${table.id} = old.id
RETURNING ${RowGuard.epochMs('old.deadline')} AS before, ${RowGuard.epochMs(this.guard.deadline)} AS deadline`
    const write = (lock: string, within: Transaction | null) => rows<Written>(table.sequelize, sql(lock), [id, ...bind], within)
    const [written] = transaction ? await write('FOR NO KEY UPDATE', transaction) : await this.alone(id, write)
    return written ?? this.refuse(id, value, transaction)
  }

  /** @throws OrderTimersError ORDER_NOT_FOUND */
  async read(id: string, transaction: Transaction | null | undefined): Promise<RowState> {
    const state = await this.find(id, transaction)
    if (state) return state
    throw this.notFound(id)
  }

  async find(id: string, transaction: Transaction | null | undefined): Promise<RowState | undefined> {
    type Row = {
      status: unknown
      in_from: boolean
      deadline: number | null
      remaining_ms: number | null
      paused: boolean
      extended: number
    }
    const [row] = await rows<Row>(this.guard.table.sequelize, this.state, [id], transaction ?? null)
    return (
      row && {
        inFrom: row.in_from,
        status: row.status,
        deadline: row.deadline,
        remainingMs: row.deadline === null ? null : row.remaining_ms,
        paused: row.paused,
        extended: Number(row.extended),
      }
    )
  }

  notFound(id: string): OrderTimersError {
    return new OrderTimersError('ORDER_NOT_FOUND', `orderTimers: ${this.kind}: there is no ${this.guard.table.model.name} ${show(id)}`)
  }

  /** For where the row itself is not asked. @throws OrderTimersError ORDER_NOT_IN_FROM where the instance has another status */
  requireInstanceInFrom(id: string, instance: Model): void {
    const { statusAttribute, from } = this.guard
    const status: unknown = statusAttribute && instance.get(statusAttribute)
    if (status === undefined || from.some((value) => String(value) === String(status))) return
    throw this.notInFrom(id, { status })
  }

  notInFrom(id: string, state: Pick<RowState, 'status'>): OrderTimersError {
    const { statusAttribute, inWords } = this.guard
    const now = statusAttribute ? ` has ${statusAttribute} ${show(state.status)}` : ' is none of those'
    const message = `orderTimers: ${this.kind}: ${this.order(id)}${now}; the rule applies to ${inWords}`
    return new OrderTimersError('ORDER_NOT_IN_FROM', message)
  }

  private change(value: NewDeadline): Change {
    const { pause, extensions } = this.options
    const { guard } = this
    const deadline = this.column(this.options.deadline as string)
    const keep = pause && this.column(pause.keep)
    const unpaused = keep ? [`${keep} = NULL`] : []
    const anew = [...unpaused, ...(extensions ? [`${this.column(extensions.attribute)} = NULL`] : [])]
    if (value === null) return { set: [`${deadline} = ${guard.noTimer}`, ...unpaused], condition: '', bind: [] }
    if (value === 'pause') {
      const left = `greatest(0, ceil(extract(epoch from ${guard.deadline} - clock_timestamp()) * 1000))::bigint`
      return { set: [`${keep} = ${left}`, `${deadline} = ${guard.noTimer}`], condition: ` AND ${guard.deadline} IS NOT NULL`, bind: [] }
    }
    if (value === 'resume') {
      const target = `date_trunc('milliseconds', clock_timestamp()) + ${ALIAS}.${keep} * interval '1 millisecond'`
      return { set: [`${deadline} = ${target}`, ...unpaused], condition: ` AND ${ALIAS}.${keep} IS NOT NULL`, bind: [] }
    }
    if ('atMs' in value) return { set: [`${deadline} = to_timestamp($2::float8 / 1000)`, ...anew], condition: '', bind: [value.atMs] }
    const by = "$2::float8 * interval '1 millisecond'"
    if ('afterMs' in value) {
      return { set: [`${deadline} = date_trunc('milliseconds', clock_timestamp()) + ${by}`, ...anew], condition: '', bind: [value.afterMs] }
    }
    const set = [`${deadline} = ${ALIAS}.${deadline} + ${by}`]
    const condition = ` AND ${guard.deadline} IS NOT NULL`
    if (!extensions) return { set, condition, bind: [value.byMs] }
    const more = extensions.unit === 'times' ? '1' : `$2::float8`
    return {
      set: [...set, `${this.column(extensions.attribute)} = ${this.extended} + ${more}`],
      condition: `${condition} AND ${this.extended} + ${more} <= $3::float8`,
      bind: [value.byMs, extensions.most],
    }
  }

  /** Says why a guarded write found no row to act on; nothing to say where the row is already as it was to be. */
  private async refuse(id: string, value: NewDeadline, transaction: Transaction | null | undefined): Promise<Written> {
    const state = await this.read(id, transaction)
    if (!state.inFrom) throw this.notInFrom(id, state)
    const { deadline } = state
    if (value === 'pause' && state.paused) return { before: null, deadline: null }
    if (value === 'resume' && deadline !== null) return { before: deadline, deadline }
    const { extensions } = this.options
    if (extensions && deadline !== null && value !== null && typeof value === 'object' && 'byMs' in value) {
      const { most, unit } = extensions
      const limit =
        unit === 'times'
          ? `was extended ${state.extended} times, and ${most} is the most`
          : `was extended by ${state.extended} ms, and ${most} ms in all is the most`
      throw new OrderTimersError('EXTENSION_LIMIT', `orderTimers: ${this.kind}: ${this.order(id)} ${limit}`)
    }
    const to = value === 'pause' ? 'pause' : value === 'resume' ? 'resume' : 'extend'
    const why = state.paused ? 'is paused, and has no deadline' : 'has no deadline'
    const remedy = state.paused ? `call resume('${this.kind}', …) first` : `call schedule('${this.kind}', …) first`
    throw new OrderTimersError('NO_TIMER', `orderTimers: ${this.kind}: ${this.order(id)} ${why} to ${to}; ${remedy}`)
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
      const remedy = 'if that is a transaction of this very request, pass { transaction }'
      const message = `orderTimers: ${this.kind}: ${this.order(id)} is locked by another transaction, waited ${LOCK_WAIT_MS} ms; ${remedy}`
      throw new OrderTimersError('ROW_LOCKED', message, { cause })
    }
  }

  private get extended(): string {
    return `coalesce(${this.guard.table.column(this.options.extensions?.attribute as string)}, 0)`
  }

  private column(attribute: string): string {
    return this.guard.table.bareColumn(attribute)
  }

  private order(id: string): string {
    return `${this.guard.table.model.name} ${show(id)}`
  }
}
