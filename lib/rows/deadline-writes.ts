// Writes an order's deadline for schedule, extend, cancel, pause and resume, or says why it cannot. It writes only the deadline, without
// the shop's hooks, validators, `updatedAt` or version, and only while the order is still in `from`.

import type { Transaction } from 'sequelize'
import { OrderTimersError } from '../errors.js'
import { type CallConnection, callConnectionOf } from '../sequelize/call-connection.js'
import { rows } from '../sequelize/database.js'
import { isInFunction, sqlStateOf } from '../sequelize/fault-owner.js'
import { LOCK_WAIT_ENDED, NUMERIC_VALUE_OUT_OF_RANGE, ROLLED_BACK, UNDEFINED_COLUMN } from '../sequelize/sqlstates.js'
import { DeadlineErrors } from './deadline-errors.js'
import { DeadlineSql, type LockWait, type NewDeadline, type WrittenRow } from './deadline-sql.js'
import type { RowGuard } from './guard.js'
import type { DeclaredColumn } from './row-options.js'
import type { RowState, TimerStates } from './timer-state.js'

/**
 * Of the statement alone: the row is locked, or the shop's own lock_timeout or statement_timeout was too short, which the transaction has not; it was rolled
 * back because of others; or the model's table is a view.
 */
const MAY_SUCCEED_IN_TRANSACTION: ReadonlySet<unknown> = new Set([...LOCK_WAIT_ENDED, ...ROLLED_BACK, UNDEFINED_COLUMN])

/** How long a view is taken for one. */
const LOOK_EVERY_MS = 60_000

/**
 * The deadlines before and after a write, milliseconds since 1970, and the attributes that it wrote, to refresh an instance by. `before` is undefined if
 * the write sets a deadline.
 */
export interface Written {
  before: number | null | undefined
  deadline: number | null
  attributes: Record<string, unknown>
}

export class DeadlineWrites {
  private readonly sql: DeadlineSql
  private readonly errors: DeadlineErrors
  /** Until then, by `performance.now()`, the model's table is known to be a view. */
  private viewUntil = 0

  constructor(
    kind: string,
    private readonly guard: RowGuard,
    private readonly column: DeclaredColumn,
    private readonly states: TimerStates,
  ) {
    this.sql = new DeadlineSql(guard, column)
    this.errors = new DeadlineErrors(kind, guard, column)
  }

  /**
   * @param transaction the shop's, or the connection of the call (call-connection.ts); only the latter has a time limit
   * @throws OrderTimersError ORDER_NOT_FOUND, ORDER_NOT_IN_FROM, NO_TIMER, EXTENSION_LIMIT, ROW_LOCKED; INVALID_MODEL if a column is too small
   */
  async write(id: string, value: NewDeadline, transaction: Transaction, isSecond = false): Promise<Written> {
    const write = (wait: LockWait) => this.run(id, value, wait, transaction)
    const own = callConnectionOf(transaction)
    let written: WrittenRow | undefined
    try {
      ;[written] = own ? await this.alone(own, () => this.lock(id, transaction), write) : await write('as limited')
    } catch (error) {
      this.refuseTooLarge(id, value, error)
      throw own ? this.lockError(id, error) : error
    }
    if (written) return this.written(written)
    const state = await this.states.read(id, transaction)
    // The row may have changed since the UPDATE did not match it; then there is no reason to report.
    return !isSecond && this.isWritable(value, state) ? this.write(id, value, transaction, true) : this.refuse(id, value, state)
  }

  /** The statement alone. @returns the row that it wrote, if any @throws as Sequelize does */
  run(id: string, value: NewDeadline, wait: LockWait, transaction: Transaction): Promise<WrittenRow[]> {
    return rows(this.guard.table.sequelize, this.sql.of(value, wait), [id, ...this.sql.bind(value)], transaction)
  }

  /** @returns whether the rule applies to the order, whose row is locked then @throws as Sequelize does */
  async lock(id: string, transaction: Transaction): Promise<boolean> {
    return (await rows(this.guard.table.sequelize, this.sql.lock, [id], transaction)).length > 0
  }

  /**
   * The same for many orders in one statement.
   * @param states their rows, which the transaction has locked
   * @returns for each of them its present deadline, or why the write was refused
   * @throws OrderTimersError INVALID_MODEL if a column is too small
   */
  async writeAll(
    states: ReadonlyMap<string, RowState>,
    value: NewDeadline,
    transaction: Transaction,
  ): Promise<Map<string, number | null | OrderTimersError>> {
    const results = new Map<string, number | null | OrderTimersError>()
    const writable = [...states].filter(([, state]) => this.isWritable(value, state)).map(([id]) => id)
    const { table } = this.guard
    const bind = [writable, ...this.sql.bind(value)]
    try {
      const written =
        writable.length === 0 ? [] : await rows<WrittenRow & { id: string }>(table.sequelize, this.sql.ofMany(value), bind, transaction)
      for (const { id, deadline } of written) results.set(table.parseId(id) as string, deadline)
    } catch (error) {
      this.refuseTooLarge(writable[0] as string, value, error)
      throw error
    }
    for (const [id, state] of states) if (!results.has(id)) results.set(id, this.refusal(id, value, state))
    return results
  }

  private written({ before, deadline, kept, extended }: WrittenRow): Written {
    const { attribute, pause, extensions } = this.column
    const attributes: Record<string, unknown> = { [attribute]: deadline === null ? null : new Date(deadline) }
    if (pause) attributes[pause.keep] = kept
    if (extensions) attributes[extensions.attribute] = extended
    return { before, deadline, attributes }
  }

  /** At once if the row is free, else in a separate transaction that waits for the row's lock, with a limit. */
  private async alone(
    own: CallConnection,
    lock: () => Promise<boolean>,
    write: (wait: LockWait) => Promise<WrittenRow[]>,
  ): Promise<WrittenRow[]> {
    try {
      const isView = performance.now() < this.viewUntil
      const written = isView ? [] : await own.write(() => write('hardly'))
      if (written.length > 0) return written
    } catch (error) {
      const state = sqlStateOf(error)
      if (own.isCancelled || !MAY_SUCCEED_IN_TRANSACTION.has(state)) throw error
      if (state === UNDEFINED_COLUMN) this.viewUntil = performance.now() + LOOK_EVERY_MS
    }
    // Locked by a statement of its own, so that the UPDATE sees what was committed during the wait, also through a view and in other tables.
    return own.transact(async () => ((await lock()) ? write('as limited') : []))
  }

  private lockError(id: string, error: unknown): unknown {
    if (!LOCK_WAIT_ENDED.has(sqlStateOf(error))) return error
    return isInFunction(error) ? this.errors.triggerTooSlow(id, error) : this.errors.rowLocked(id, error)
  }

  /** @throws OrderTimersError INVALID_MODEL if the value does not fit into an INTEGER */
  private refuseTooLarge(id: string, value: NewDeadline, cause: unknown): void {
    const { pause, extensions } = this.column
    const attribute = value === 'pause' ? pause?.keep : extensions?.attribute
    if (sqlStateOf(cause) === NUMERIC_VALUE_OUT_OF_RANGE && attribute !== undefined) throw this.errors.tooLarge(id, attribute, cause)
  }

  /** Whether the UPDATE would change the row as it is now. */
  private isWritable(value: NewDeadline, { inFrom, deadline, paused, extended }: RowState): boolean {
    if (!inFrom) return false
    if (value === 'resume') return paused
    if (value === 'pause' || value === 'settle') return deadline !== null
    const by = byOf(value)
    if (by === undefined) return true
    const { extensions } = this.column
    return deadline !== null && (!extensions || extended + (extensions.unit === 'times' ? 1 : by) <= extensions.most)
  }

  private refusal(id: string, value: NewDeadline, state: RowState): number | null | OrderTimersError {
    try {
      return this.refuse(id, value, state).deadline
    } catch (error) {
      if (error instanceof OrderTimersError) return error
      throw error
    }
  }

  /**
   * For a write that changed no row.
   * @returns if the row is already as the write would have left it
   * @throws OrderTimersError that says why it was refused
   */
  private refuse(id: string, value: NewDeadline, state: RowState): Written {
    if (!state.inFrom) throw this.states.notInFrom(id, state)
    const { deadline } = state
    if (this.isWritable(value, state)) throw this.errors.vetoed(id)
    if (value === 'pause' && state.paused) return { before: null, deadline: null, attributes: {} }
    if (value === 'resume' && deadline !== null) return { before: deadline, deadline, attributes: {} }
    const by = byOf(value)
    const { extensions } = this.column
    if (extensions && by !== undefined && deadline !== null) throw this.errors.extensionLimit(id, state, extensions, by)
    throw this.errors.noTimer(id, state, typeof value === 'string' ? value : 'extend')
  }
}

/** The time that `extend` adds. */
function byOf(value: NewDeadline): number | undefined {
  return value !== null && typeof value === 'object' && 'byMs' in value ? value.byMs : undefined
}
