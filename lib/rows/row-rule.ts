// A rule as its rows see it: where its deadlines live, and the statements over one orders table, put together from one guard.

import type { Model, Transaction } from 'sequelize'
import type { OrderTimersError } from '../errors.js'
import type { AfterOfOrder } from './after.js'
import type { Brake } from './brake.js'
import type { DeadlineWrites } from './deadline-writes.js'
import type { RowGuard, Status } from './guard.js'
import type { History } from './history.js'
import type { Holds } from './holds.js'
import type { LeftDeadlines } from './left-deadlines.js'
import type { Maintenance } from './maintenance.js'
import type { PendingRows } from './pending-rows.js'
import type { AfterCommit, DeclaredColumn, DeclaredRedis, DeclaredSince, DeclaredVerify, RowOptions } from './row-options.js'
import type { TimerStates } from './timer-state.js'
import type { Unverified } from './unverified.js'

/** A deadline in a column of its own, and what can be done with it. */
export interface ColumnDeadline extends DeclaredColumn {
  /** Milliseconds from now to the deadline where `schedule` is given none; undefined where it must be given, or where `afterOf` says it. */
  readonly afterMs: number | undefined
  /** Where `after` is a function. */
  readonly afterOf: AfterOfOrder | undefined
  readonly pending: PendingRows
  readonly writes: DeadlineWrites
}

/** A deadline that is counted from a column. */
export interface SinceDeadline extends DeclaredSince {
  readonly pending: PendingRows
  /**
   * For what reads the instant from an instance. @returns undefined where nothing is to be waited for
   * @throws OrderTimersError INVALID_MODEL (as a rejection) where the column has no time zone
   */
  requireInstants(within: Transaction | undefined): Promise<void> | undefined
}

/** A reminder is due so long before the deadline of its rule, and has no deadline of its own to write. */
export interface ReminderDeadline {
  readonly in: 'reminder'
  readonly pending: PendingRows
}

/** A deadline that the row knows, so that the sweep finds it. */
export type RowDeadline = ColumnDeadline | SinceDeadline | ReminderDeadline

/** What is settled under one guard: the rows of a rule, or of a reminder, which has no more than what is not optional. */
export interface SettledRows {
  readonly options: RowOptions
  readonly guard: RowGuard
  readonly deadline: RowDeadline | DeclaredRedis
  readonly afterCommit: AfterCommit<Model> | undefined
  /** Of a transition: where it moves orders, and whether it hooks its model. */
  readonly move?: Move | undefined
  /** What settling writes besides the status, by attribute. */
  readonly set?: Record<string, unknown>
  readonly states?: TimerStates
  /** What the sweep writes before it settles: `backfill`, and pauses by declaration. */
  readonly maintenance?: Maintenance | undefined
  /** Deadlines that orders keep when they leave the rule. */
  readonly left?: LeftDeadlines | undefined
  readonly brake?: Brake | undefined
  readonly history?: History | undefined
  /** With `verify`: what is asked, and of which orders it is not known yet. Not with `dryRun`, which never asks. */
  readonly verification?: Verification | undefined
  /** Of the kind, or of the rule of a reminder. */
  readonly holds: Holds
  /** The order's row on the primary as an instance, without the model's scopes; null where there is no such row. */
  find?(id: string, transaction: Transaction | undefined): Promise<Model | null>
}

/** `verify`, bound. */
export interface Verification extends DeclaredVerify {
  readonly unverified: Unverified
}

/** What can be asked about the statements of a rule, or of a reminder. */
export interface RowChecks {
  /** @throws OrderTimersError INVALID_MODEL where the database lacks a column or a table of the rule's */
  check(): Promise<void>
  /** A look at the tables and the statements. */
  look(options?: LookOptions): Promise<Look>
  /** Has Postgres plan, on this transaction's connection, the statement that settles; carries out nothing. */
  plan(transaction: Transaction): Promise<void>
}

/** Rows that the sweep reads. */
export interface SweptRows extends SettledRows, RowChecks {
  readonly deadline: RowDeadline
}

/** The rows of a rule that a shop has declared. */
export interface RowRule extends SettledRows, RowChecks {
  readonly deadline: ColumnDeadline | SinceDeadline | DeclaredRedis
  readonly move: Move | undefined
  readonly set: Record<string, unknown>
  readonly states: TimerStates
  find(id: string, transaction: Transaction | undefined): Promise<Model | null>
  /** Has the settling statement start and end timers of other rules too. To be called again when more of those are bound. */
  link(cascade: Cascade | undefined): void
}

/** The rows of a reminder. */
export interface ReminderRows extends SweptRows {
  readonly deadline: ReminderDeadline
}

export interface Move {
  status: string
  from: readonly Status[]
  to: Status
  auto: boolean
  /** Whether settling saves instances, one by one, so that all that hooks the model sees them. */
  individualHooks: boolean
}

/** What settling one rule means for rules that hook the same model (`auto`), in the settling UPDATE. */
export interface Cascade {
  /** More assignments of the UPDATE. */
  assignments: string[]
  /** Deadlines of the timers that it starts, as expressions over the updated row; null where it starts none. */
  startedTimers: { kind: string; deadline: string }[]
}

export interface LookOptions {
  /** At the tables alone, where the statements were found right a short while ago. */
  briefly?: boolean
  /** For a process that settles nothing, and may lack rights that only workers need. */
  withoutWorker?: boolean
}

/** What a look at a rule found. */
export interface Look {
  /** What is wrong, each with its remedy. */
  wrong: OrderTimersError[]
  /** What is wrong as well, and keeps the rule from some orders alone. A person should know it; the rule need not rest. */
  partial: OrderTimersError[]
  /** Why something could not be looked at. */
  unseen: unknown
}
