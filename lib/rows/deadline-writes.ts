// The guarded UPDATEs behind schedule, extend, cancel, pause and resume, and the reads behind remaining and list. Each writes the deadline alone,
// without the shop's hooks, validators, `updatedAt` or version, and only while the order is still in `from`.

import type { Model, Transaction } from 'sequelize'
import { inUnits } from '../duration.js'
import { OrderTimersError, show } from '../errors.js'
import { type CallConnection, callConnectionOf, LOCK_WAIT_MS } from '../sequelize/call-connection.js'
import { rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { storedValue } from '../sequelize/values.js'
import { RowGuard } from './guard.js'
import type { RowOptions } from './row-options.js'

// SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html

/** lock_not_available; query_canceled, when several wait in line for one row. */
const WAITED_IN_VAIN = new Set(['55P03', '57014'])

/** numeric_value_out_of_range */
const OUT_OF_RANGE = '22003'

/** serialization_failure, where the database's default isolation is stricter than READ COMMITTED; deadlock_detected. */
const ROLLED_BACK = new Set(['40001', '40P01'])

/** The deadlines before and after a write, milliseconds since 1970, and the attributes that it wrote, to refresh an instance by. */
export interface Written {
  before: number | null
  deadline: number | null
  attributes: Record<string, unknown>
}

interface WrittenRow {
  before: number | null
  deadline: number | null
  kept: unknown
  extended: unknown
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

interface StateRow {
  id: unknown
  status: unknown
  in_from: boolean
  deadline: number | null
  remaining_ms: number | null
  paused: boolean
  extended: number
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

/** From now by Postgres's clock, an instant, so much more than now stands there, no deadline; or put by what is left, and let it run again. */
export type NewDeadline = { afterMs: number } | { atMs: number } | { byMs: number } | null | 'pause' | 'resume'

type Extensions = NonNullable<RowOptions['extensions']>

/** What one write sets, and on what condition (beginning with AND). What it binds from $2 on is `bound`. */
interface Change {
  set: string[]
  condition: string
}

type Statement = (lock: string) => string

export class DeadlineWrites {
  private readonly state: string
  /** Each kind of write is put into words once. */
  private readonly statements = new Map<string, Statement>()

  constructor(
    private readonly kind: string,
    private readonly guard: RowGuard,
    private readonly options: RowOptions,
  ) {
    const { table } = guard
    const { pause, extensions } = options
    const paused = pause ? `(${table.column(pause.keep)} IS NOT NULL OR NOT (TRUE${guard.notPaused}))` : 'FALSE'
    this.state = `SELECT ${table.id}::text AS id, ${guard.statusAttribute ? table.column(guard.statusAttribute) : 'NULL'} AS status,
  (${guard.applies}${guard.where}${guard.paranoid}) IS TRUE AS in_from, ${paused} AS paused, ${extensions ? this.extended : '0'} AS extended,
  CASE WHEN NOT ${paused} THEN ${RowGuard.epochMs(guard.deadline)} END AS deadline,
  greatest(0, ceil(extract(epoch from ${guard.knownDeadline} - clock_timestamp()) * 1000))::float8 AS remaining_ms
FROM ${table.aliased} WHERE ${table.id} =`
  }

  /**
   * @param transaction the shop's, or the connection of the call (call-connection.ts), which alone is bounded in time
   * @throws OrderTimersError ORDER_NOT_FOUND, ORDER_NOT_IN_FROM, NO_TIMER, EXTENSION_LIMIT, ROW_LOCKED
   */
  async write(id: string, value: NewDeadline, transaction: Transaction): Promise<Written> {
    const { table } = this.guard
    const statement = this.statement(value)
    const bind = [id, ...this.bound(value)]
    const write = (lock: string) =>
      rows<WrittenRow>(table.sequelize, statement(lock), bind, transaction).catch((error) => this.tooLarge(id, value, error))
    const own = callConnectionOf(transaction)
    const [written] = own ? await this.alone(id, own, write) : await write('FOR NO KEY UPDATE')
    return written ? this.written(written) : this.refuse(id, value, transaction)
  }

  private statement(value: NewDeadline): Statement {
    const shape = shapeOf(value)
    const known = this.statements.get(shape)
    if (known) return known
    const { guard } = this
    const { table } = guard
    const { set, condition } = this.change(value)
    const { pause, extensions } = this.options
    const kept = pause ? `, ${table.column(pause.keep)} AS kept` : ''
    const extended = extensions ? `, ${table.column(extensions.attribute)} AS extended` : ''
    const before = `WITH order_timers_old AS (
  SELECT ${table.id} AS order_timers_id, ${guard.deadline} AS order_timers_deadline FROM ${table.aliased}
  WHERE ${table.id} = $1 AND ${guard.applies}${guard.where}${guard.paranoid}${condition}
  `
    const after = `
)
UPDATE ${table.aliased} SET ${set.join(', ')} FROM order_timers_old WHERE ${table.id} = order_timers_id
RETURNING ${RowGuard.epochMs('order_timers_deadline')} AS before, ${RowGuard.epochMs(guard.knownDeadline)} AS deadline${kept}${extended}`
    const statement = (lock: string) => `${before}${lock}${after}`
    this.statements.set(shape, statement)
    return statement
  }

  private written({ before, deadline, kept, extended }: WrittenRow): Written {
    const { deadline: attribute, pause, extensions } = this.options
    const attributes: Record<string, unknown> = { [attribute as string]: deadline === null ? null : new Date(deadline) }
    if (pause) attributes[pause.keep] = kept
    if (extensions) attributes[extensions.attribute] = extended
    return { before, deadline, attributes }
  }

  /** @throws OrderTimersError ORDER_NOT_FOUND */
  async read(id: string, transaction: Transaction | null | undefined): Promise<RowState> {
    const state = await this.find(id, transaction)
    if (state) return state
    throw this.notFound(id)
  }

  async find(id: string, transaction: Transaction | null | undefined): Promise<RowState | undefined> {
    const [row] = await rows<StateRow>(this.guard.table.sequelize, `${this.state} $1`, [id], transaction ?? null)
    return row && stateOf(row)
  }

  /** The orders that there are, by id. */
  async findAll(ids: readonly string[], transaction: Transaction | null | undefined): Promise<Map<string, RowState>> {
    const { table } = this.guard
    const found = await rows<StateRow>(table.sequelize, `${this.state} ANY($1)`, [ids], transaction ?? null)
    return new Map(found.map((row) => [table.parseId(row.id) as string, stateOf(row)]))
  }

  notFound(id: string): OrderTimersError {
    return new OrderTimersError('ORDER_NOT_FOUND', `orderTimers: ${this.kind}: there is no ${this.guard.table.model.name} ${show(id)}`)
  }

  /** Whether an instance has a status that the rule applies to. Where it says no, the row is to be asked: the instance may be older. */
  saysInFrom(instance: Model): boolean {
    const { statusAttribute, from } = this.guard
    if (statusAttribute === undefined) return true
    const status = storedValue(instance, statusAttribute)
    return status === undefined || from.some((value) => String(value) === String(status))
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
    if (value === null) return { set: [`${deadline} = ${guard.noTimer}`, ...unpaused], condition: '' }
    if (value === 'pause') {
      const left = `greatest(0, ceil(extract(epoch from ${guard.deadline} - clock_timestamp()) * 1000))::bigint`
      return { set: [`${keep} = ${left}`, `${deadline} = ${guard.noTimer}`], condition: ` AND ${guard.deadline} IS NOT NULL` }
    }
    if (value === 'resume') {
      const target = `date_trunc('milliseconds', clock_timestamp()) + ${guard.table.alias}.${keep} * interval '1 millisecond'`
      return { set: [`${deadline} = ${target}`, ...unpaused], condition: ` AND ${guard.table.alias}.${keep} IS NOT NULL` }
    }
    if ('atMs' in value) return { set: [`${deadline} = to_timestamp($2::float8 / 1000)`, ...anew], condition: '' }
    const by = "$2::float8 * interval '1 millisecond'"
    if ('afterMs' in value) {
      return { set: [`${deadline} = date_trunc('milliseconds', clock_timestamp()) + ${by}`, ...anew], condition: '' }
    }
    const set = [`${deadline} = ${guard.table.alias}.${deadline} + ${by}`]
    const condition = ` AND ${guard.deadline} IS NOT NULL`
    if (!extensions) return { set, condition }
    const more = extensions.unit === 'times' ? '1' : `$2::float8`
    return {
      set: [...set, `${this.column(extensions.attribute)} = ${this.extended} + ${more}`],
      condition: `${condition} AND ${this.extended} + ${more} <= $3::float8`,
    }
  }

  private bound(value: NewDeadline): unknown[] {
    if (value === null || typeof value === 'string') return []
    if ('atMs' in value) return [value.atMs]
    if ('afterMs' in value) return [value.afterMs]
    const { extensions } = this.options
    return extensions ? [value.byMs, extensions.most] : [value.byMs]
  }

  /** @throws OrderTimersError INVALID_MODEL where an INTEGER had to hold more than it can; else the error as it was */
  private tooLarge(id: string, value: NewDeadline, cause: unknown): never {
    const { pause, extensions } = this.options
    const attribute = value === 'pause' ? pause?.keep : extensions?.attribute
    if (sqlStateOf(cause) !== OUT_OF_RANGE || attribute === undefined) throw cause
    const { table } = this.guard
    const remedy = `ALTER TABLE ${table.table} ALTER COLUMN ${this.column(attribute)} TYPE bigint`
    const message = `orderTimers: ${this.kind}: ${show(attribute)} of ${this.order(id)} cannot hold so many milliseconds; ${remedy}`
    throw new OrderTimersError('INVALID_MODEL', message, { cause })
  }

  /** Says why a guarded write found no row to act on; nothing to say where the row is already as it was to be. */
  private async refuse(id: string, value: NewDeadline, transaction: Transaction | null | undefined): Promise<Written> {
    const state = await this.read(id, transaction)
    if (!state.inFrom) throw this.notInFrom(id, state)
    const { deadline } = state
    if (value === 'pause' && state.paused) return { before: null, deadline: null, attributes: {} }
    if (value === 'resume' && deadline !== null) return { before: deadline, deadline, attributes: {} }
    const by = value !== null && typeof value === 'object' && 'byMs' in value ? value.byMs : undefined
    const { extensions } = this.options
    if (extensions && by !== undefined && deadline !== null) throw this.extensionLimit(id, state, extensions, by)
    const to = typeof value === 'string' ? value : 'extend'
    const why = state.paused ? 'is paused, and has no deadline' : 'has no deadline'
    const resume = this.options.pause?.while ? 'it runs again when "pause.while" holds no longer' : `call resume('${this.kind}', …) first`
    const remedy = state.paused ? resume : `call schedule('${this.kind}', …) first`
    throw new OrderTimersError('NO_TIMER', `orderTimers: ${this.kind}: ${this.order(id)} ${why} to ${to}; ${remedy}`)
  }

  private extensionLimit(id: string, { extended }: RowState, { most, unit }: Extensions, byMs: number): OrderTimersError {
    const already = extended === 0 ? '' : `was extended by ${inUnits(extended)} already, `
    const limit =
      unit === 'times'
        ? `was extended ${extended === 1 ? 'once' : `${extended} times`}, which is the most`
        : `may be extended by ${inUnits(most)} in all, ${already}and ${inUnits(byMs)} more is too much`
    return new OrderTimersError('EXTENSION_LIMIT', `orderTimers: ${this.kind}: ${this.order(id)} ${limit}`)
  }

  /** At once where the row is free, else in a transaction of its own that waits for it, with a limit. */
  private async alone(id: string, own: CallConnection, write: (lock: string) => Promise<WrittenRow[]>): Promise<WrittenRow[]> {
    try {
      const written = await own.write(() => write('FOR NO KEY UPDATE SKIP LOCKED'))
      if (written.length > 0) return written
    } catch (error) {
      if (!ROLLED_BACK.has(sqlStateOf(error) ?? '')) throw this.lockedOut(id, error)
    }
    return own
      .transact(() => write('FOR NO KEY UPDATE'))
      .catch((error) => {
        throw this.lockedOut(id, error)
      })
  }

  private lockedOut(id: string, cause: unknown): unknown {
    if (!WAITED_IN_VAIN.has(sqlStateOf(cause) ?? '')) return cause
    const remedy = 'if that is a transaction of this very request, pass { transaction }'
    const message = `orderTimers: ${this.kind}: ${this.order(id)} is locked by another transaction, waited ${LOCK_WAIT_MS} ms; ${remedy}`
    return new OrderTimersError('ROW_LOCKED', message, { cause })
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

function shapeOf(value: NewDeadline): string {
  if (value === null) return 'none'
  return typeof value === 'string' ? value : (Object.keys(value)[0] as string)
}
