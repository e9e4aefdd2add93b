// The input and the result of settling orders: each order's outcome, and the work that remains after the commit.

import type { Model } from 'sequelize'
import type { OnHold } from './hold-switch.js'

export interface SettleWork {
  signal: AbortSignal
  /** True while the shop's code runs: a timeout in this time is the rule's fault, otherwise the database's. */
  inRule: boolean
  /** An order's deadline as claimed from the due index, in milliseconds; for rules without another one. */
  deadlineOf(id: string): number | undefined
  /** The path that brought the orders, and the worker; for the history. */
  via: string
  worker: string
  /** Under `verify`: the proofs. Orders without one are not settled. */
  proofs?: Proofs | undefined
}

/** By id. */
export type Proofs = ReadonlyMap<string, Proof>

/** A proof under `verify`: an answer, or an operator's decision. Everything except xmin is kept in the history. */
export interface Proof {
  /** The xmin of the row that was asked about. */
  xmin: string
  /** When it was answered: ISO 8601. */
  at: string
  answer?: true
  /** The payment service's id of what was closed. */
  reference?: string | undefined
  /** Who had it settled unverified, and the reason. */
  by?: string
  reason?: string
}

/** The outcome for each id that was given to `settle`. */
export interface Settlement {
  settled: SettledOrder[]
  /** Not due yet: milliseconds that remain by Postgres's clock, at least 1. */
  early: { id: string; remainingMs: number }[]
  /** The row is locked by another transaction: to be tried again later. */
  locked: string[]
  /** No row, the rule no longer applies, or no deadline: nothing to do. */
  gone: string[]
  /** Those of `gone` to which the rule applies, without a deadline, and not paused. */
  undated?: string[]
  /** How many of `gone` had an old deadline, which was cleared. */
  cleared?: number | undefined
  /** Held by `where`, a pause, `staleAfter` or the brake: left to the sweep, or tried again later where the deadline is only in Redis. */
  held: string[]
  /** Under `verify`: due, but without a proof; to be asked about (again). */
  unproven?: string[]
  /** With `dryRun`: orders that would have been settled. They are among `held`. */
  dryRun?: SettledOrder[]
  /** Timers of other rules that this started; to be armed. */
  startedTimers?: StartedTimer[]
  /** `afterCommit` for the settled orders, to be run after the commit. */
  pendingDeliveries?: PendingDelivery[]
  /** The brake has stopped the rule. */
  braked?: boolean
  /** The kind is held, and no row was read: all orders are among `held`, and go back. */
  onHold?: OnHold
}

export interface StartedTimer {
  kind: string
  id: string
  deadlineMs: number
}

/** One order for `afterCommit`. */
export interface PendingDelivery {
  id: string
  order: Model
  idempotencyKey: string
  /** The id of the history row that records the delivery as pending; empty without a history. */
  entry: string
}

export interface SettledOrder {
  id: string
  /** Milliseconds since 1970; null if unknown (a key of another service). */
  deadline: number | null
  /** Milliseconds from the deadline to the commit, by the clock of the deadline; null if either is unknown. */
  latenessMs: number | null
}
