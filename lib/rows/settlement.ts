// What settling orders is given, and what it answers: each order's fate, and what is still to be done once the transaction has committed.

import type { Model } from 'sequelize'
import type { OnHold } from './hold-switch.js'

export interface SettleWork {
  signal: AbortSignal
  /** True while the shop's own code runs: a batch that then takes too long is the rule's fault, and else the database's. */
  inRule: boolean
  /** An order's deadline as claimed from the due index, in milliseconds; for rules that have no other. */
  deadlineOf(id: string): number | undefined
  /** Which path brought the orders, and who settles them; for the history. */
  via: string
  worker: string
  /** Under `verify`: what orders may be settled by. The others are not settled. */
  proofs?: Proofs | undefined
}

/** By id. */
export type Proofs = ReadonlyMap<string, Proof>

/** What an order may be settled by under `verify`: an answer, or a person's word. But for xmin it is kept in the history. */
export interface Proof {
  /** Of the row that was asked about. */
  xmin: string
  /** When it was answered: ISO 8601. */
  at: string
  answer?: true
  /** As the payment service calls what was closed. */
  reference?: string | undefined
  /** Who had it settled unverified, and why. */
  by?: string
  reason?: string
}

/** What became of each id that was given to `settle`. */
export interface Settlement {
  settled: SettledOrder[]
  /** Not due yet: milliseconds that remain by Postgres's clock, at least 1. */
  early: { id: string; remainingMs: number }[]
  /** The row is locked by another transaction: to be tried again later. */
  locked: string[]
  /** No row, not where the rule applies any more, or without a deadline: nothing to do. */
  gone: string[]
  /** Those of `gone` that are where the rule applies, have no deadline, and are not paused. */
  undated?: string[]
  /** How many of `gone` had a deadline of an earlier stay, which was cleared. */
  cleared?: number | undefined
  /** Held by `where`, a pause, `staleAfter` or the brake: left to the sweep, or tried again later where the deadline is in Redis alone. */
  held: string[]
  /** Under `verify`: due, and not proven; to be asked about (again). */
  unproven?: string[]
  /** With `dryRun`: what would have been settled. They are among `held`. */
  dryRun?: SettledOrder[]
  /** Timers of other rules that this started; to be armed. */
  startedTimers?: StartedTimer[]
  /** `afterCommit` for the settled orders, to be run after the commit. */
  pendingDeliveries?: PendingDelivery[]
  /** The brake has stopped the rule. */
  braked?: boolean
  /** The kind is held, and nothing was looked at: all are among `held`, and come back. */
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
  /** Milliseconds since 1970; null where nobody knows it (a key set by somebody else). */
  deadline: number | null
  /** Milliseconds from the deadline to the commit, by the clock that the deadline is of; null where either is not known. */
  latenessMs: number | null
}
