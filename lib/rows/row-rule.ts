// A rule as its rows see it: the statements over one orders table, put together from one guard, for the timers' calls and the sweep to use.

import type { Model, Transaction } from 'sequelize'
import type { OrderTimersError } from '../errors.js'
import type { Brake } from './brake.js'
import type { DeadlineWrites } from './deadline-writes.js'
import type { RowGuard, Status } from './guard.js'
import type { History } from './history.js'
import type { LeftDeadlines } from './left-deadlines.js'
import type { Maintenance } from './maintenance.js'
import type { PendingRows } from './pending-rows.js'
import type { AfterCommit, RowOptions } from './row-options.js'
import type { Cascade } from './writes.js'

/** A rule over rows: what the timers' calls and the sweep need of it. */
export interface RowRule {
  readonly options: RowOptions
  readonly guard: RowGuard
  readonly writes: DeadlineWrites
  /** What the sweep reads; none where the deadline is in Redis alone. */
  readonly pending: PendingRows | undefined
  /** The attribute that the deadline is counted from, under `since`. */
  readonly since: { attribute: string; afterMs: number } | undefined
  /** The deadline's own attribute, under `deadline`. */
  readonly deadlineAttribute: string | undefined
  /** Of a transition: where it moves orders, and whether it hooks its model. */
  readonly move: Move | undefined
  /** What settling writes beside the status, by attribute. */
  readonly set: Record<string, unknown>
  /** What the sweep writes before it settles: `backfill`, and pauses by declaration. */
  readonly maintenance: Maintenance | undefined
  /** Under `deadline`, where the rule writes: what orders take along when they leave. */
  readonly left: LeftDeadlines | undefined
  readonly brake: Brake | undefined
  readonly history: History | undefined
  readonly afterCommit: AfterCommit<Model> | undefined
  /** Has the settling statement start and end timers of other rules too. To be called again when more of those are bound. */
  link(cascade: Cascade | undefined): void
  /** @throws OrderTimersError INVALID_MODEL where the database lacks a column or a table of the rule's */
  check(): Promise<void>
  /** A look at the tables and the statements; briefly, where they were found right a short while ago. */
  look(briefly?: boolean): Promise<Look>
  /**
   * For what reads an instant from an instance. @returns undefined where nothing is to be waited for
   * @throws OrderTimersError INVALID_MODEL (as a rejection) where the column of `since` has no time zone
   */
  requireInstants(): Promise<void> | undefined
  /** Has Postgres plan, on this transaction's connection, the statement that settles; carries out nothing. */
  plan(transaction: Transaction): Promise<void>
  /** Has Postgres plan all statements of settling, on an explaining transaction. */
  explain(transaction: Transaction): Promise<void>
  /** The order as its row on the primary has it, as an instance, whatever scopes its model has; null where there is no such row. */
  find(id: string, transaction: Transaction | undefined): Promise<Model | null>
  /** Where `after` is a function: milliseconds to the deadline of this order, null for none. @throws OrderTimersError INVALID_DURATION */
  afterOf: ((order: Model) => number | null) | undefined
}

export interface Move {
  status: string
  from: readonly Status[]
  to: Status
  auto: boolean
  /** Whether settling saves instances, one by one, so that all that hooks the model sees them. */
  individualHooks: boolean
}

/** What a look at a rule found. */
export interface Look {
  /** What is wrong, each with its remedy. */
  wrong: OrderTimersError[]
  /** Why something could not be looked at. */
  unseen: unknown
}
