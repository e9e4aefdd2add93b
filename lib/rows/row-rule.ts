// The rows of a rule: where its deadlines are stored, and the statements over one orders table, built from one guard.

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

/** A deadline in a separate column, and its operations. */
export interface ColumnDeadline extends DeclaredColumn {
  /** Milliseconds from now to the deadline if `schedule` is given none; undefined if it must be given, or `afterOf` computes it. */
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
   * Before the instant is read from an instance. @returns undefined if there is nothing to wait for
   * @throws OrderTimersError INVALID_MODEL (as a rejection) if the column has no time zone
   */
  requireInstants(within: Transaction | undefined): Promise<void> | undefined
}

/** A reminder is due this long before the deadline of its rule, and has no deadline of its own to write. */
export interface ReminderDeadline {
  readonly in: 'reminder'
  readonly pending: PendingRows
}

/** A deadline that the row knows, so that the sweep finds it. */
export type RowDeadline = ColumnDeadline | SinceDeadline | ReminderDeadline

/** What is settled under one guard: the rows of a rule, or of a reminder, which has only the members that are not optional. */
export interface SettledRows {
  readonly options: RowOptions
  readonly guard: RowGuard
  readonly deadline: RowDeadline | DeclaredRedis
  readonly afterCommit: AfterCommit<Model> | undefined
  /** For a transition: where it moves orders, and whether it hooks its model. */
  readonly move?: Move | undefined
  /** The attributes that settling writes besides the status. */
  readonly set?: Record<string, unknown>
  readonly states?: TimerStates
  /** What the sweep writes before it settles: `backfill`, and pauses by declaration. */
  readonly maintenance?: Maintenance | undefined
  /** Deadlines that orders keep when they leave the rule. */
  readonly left?: LeftDeadlines | undefined
  readonly brake?: Brake | undefined
  readonly history?: History | undefined
  /** With `verify`: its options, and the orders that wait for an answer. Not with `dryRun`, which never asks. */
  readonly verification?: Verification | undefined
  /** For the kind, or for the rule of a reminder. */
  readonly holds: Holds
  /** The order's row on the primary as an instance, without the model's scopes; null if there is no such row. */
  find?(id: string, transaction: Transaction | undefined): Promise<Model | null>
}

/** `verify`, bound. */
export interface Verification extends DeclaredVerify {
  readonly unverified: Unverified
}

/** The checks of the statements of a rule, or of a reminder. */
export interface RowChecks {
  /** @throws OrderTimersError INVALID_MODEL if the database lacks a column or a table of the rule's */
  check(): Promise<void>
  /** Checks the tables and the statements. */
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
  /** Makes the settling statement also start and end timers of other rules. Called again when more of those are bound. */
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
  /** Whether settling saves instances one by one, so that all hooks of the model run. */
  individualHooks: boolean
}

/** What settling one rule means for rules that hook the same model (`auto`), in the settling UPDATE. */
export interface Cascade {
  /** More assignments of the UPDATE. */
  assignments: string[]
  /** Deadlines of the timers that it starts, as expressions over the updated row; null if it starts none. */
  startedTimers: { kind: string; deadline: string }[]
}

export interface LookOptions {
  /** Checks only the tables if the statements were found right a short while ago. */
  briefly?: boolean
  /** For a process that settles nothing, and may lack rights that only workers need. */
  withoutWorker?: boolean
}

/** The result of checking a rule. */
export interface Look {
  /** What is wrong, each with its remedy. */
  wrong: OrderTimersError[]
  /** Problems that affect only some orders. They are reported; the rule need not be suspended. */
  partial: OrderTimersError[]
  /** Why something could not be checked. */
  unseen: unknown
}
