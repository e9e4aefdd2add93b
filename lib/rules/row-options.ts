// The options that `transition` and `effect` share, as a shop writes them. They are parsed in parse-row-options.ts.

import type { Model, WhereOptions } from 'sequelize'
import type { Duration } from '../duration.js'
import type { AboutAfter } from '../rows/after.js'
import type { AfterCommit, Ask, Description, Run } from '../rows/row-options.js'

export type Attribute<M extends Model> = keyof M['_attributes'] & string

/**
 * The time from now to the deadline. A function of the order may also return a Date, which is written unchanged, or null: this order has no
 * deadline. `from` is now by Postgres's clock, or with `backfill.since` that attribute; a function that takes it costs one more round trip.
 */
export type After<M extends Model> = Duration | ((order: M, about: AboutAfter) => Duration | Date | null)

export interface Reminder<M extends Model> {
  /** How long before the deadline. */
  before: Duration
  /** Called at most once for each deadline, with up to 100 orders at once; not called again for them if it throws. `idempotencyKeys[i]` belongs to `orders[i]`. */
  run: AfterCommit<M>
  /** A reminder that is late by more is dropped. Default: half of `before`. */
  staleAfter?: Duration
}

export interface CommonOptions<M extends Model> {
  /** A further condition on the row, as a Sequelize `where`. An order that does not match waits until it does. */
  where?: WhereOptions<M['_attributes']>
  /**
   * Runs in the settling transaction with the locked, updated instances, 100 at most: once for each order. While it is quick, several calls
   * share one transaction. If it throws, the transaction is rolled back.
   */
  run?: Run<M>
  /**
   * Runs after the commit, with up to 100 orders at once. Without `history` it is best effort. With `history` it runs at least once, even if the
   * worker dies right after the commit; failed orders are redelivered one by one, up to `attempts`. The worker's next batches of this rule wait for it.
   */
  afterCommit?: AfterCommit<M>
  /** Inserts a row into the table `order_timers_history` for each order that is settled, in the same transaction. */
  history?: boolean
  /** For logs: a text, or a function of the order's id. */
  description?: Description
  /** Failed attempts until the timer is a dead letter. Failures of the database or the network do not count. Default: 25. */
  attempts?: number
  /** How long a batch may run before it is aborted and counts as a failed attempt. Default: 30 s; from 100 ms to a day. */
  timeout?: Duration
  /** An order that has been overdue for longer is reported and not settled. Default: 7 days. */
  staleAfter?: Duration
  /** Called some time before the deadline, at most once for each deadline, and not after the order has left. Needs `history`. */
  reminders?: readonly Reminder<M>[]
  /** Settles nothing: reports what would be settled, in the log and by the event `dryRun`. */
  dryRun?: boolean
  /** Stops the rule when it would settle more than `max` orders within `per`, counted in Postgres, until it is released. */
  brake?: { max: number; per: Duration }
  /** Asks before an order is settled, and settles it only once the answer is `true`. Needs `history`, and a deadline on the row. */
  verify?: Verify<M>
}

export interface Verify<M extends Model> {
  /**
   * Closes what can still be paid for each order at the payment service, and answers `true` only if that is confirmed. Called with the orders that are
   * due, outside any transaction; it may be called again for an order, so it must be idempotent.
   */
  ask: Ask<M>
  /** The maximum number of orders in one call. Default: 20. */
  batch?: number
  /** How many calls of this rule run at once in a worker. Default: 2. */
  concurrency?: number
  /** How many orders are asked about in a second, by all workers together; without Redis, by each. Default: 20. */
  perSecond?: number
  /** How long a call may take, from 100 ms. Default: 10 s. */
  timeout?: Duration
}

/** Each order has its own deadline, on its row. It is durable, and can be extended and cancelled. */
export interface DeadlineForm<M extends Model> {
  /** The attribute with the deadline: DATE, null if there is no timer. */
  deadline: Attribute<M>
  /** From `schedule` to the deadline, unless the call gives another one. May be a function of the order. */
  after?: After<M>
  /** `keep` names the attribute (BIGINT) that stores the remaining milliseconds. With `while` an order is paused for as long as its row matches. */
  pause?: { keep: Attribute<M>; while?: WhereOptions<M['_attributes']> }
  /** How often a deadline may be extended; counted in the attribute that `extended` names. */
  maxExtensions?: number
  /** The maximum total extension; counted in the attribute that `extended` names, in milliseconds. */
  maxTotal?: Duration
  /** The attribute (INTEGER, or BIGINT for `maxTotal`) in which extensions are counted. */
  extended?: Attribute<M>
  /** Orders in `from` without a deadline get one from the sweep: `after` from now, or from the attribute that `since` names. */
  backfill?: boolean | { since: Attribute<M> }
  since?: never
}

/** The deadline is counted from an existing column. */
export interface SinceForm<M extends Model> {
  /** The attribute that the deadline is counted from, such as `createdAt`. */
  since: Attribute<M>
  after: Duration
  deadline?: never
}

/** The deadline is only in Redis, and as durable as Redis is. Only the status guards the row. */
export interface RedisForm {
  deadline: false
  after?: Duration
  since?: never
}

/** The names of all of these options. */
export const COMMON = [
  ...[
    'where',
    'run',
    'afterCommit',
    'history',
    'description',
    'attempts',
    'timeout',
    'staleAfter',
    'reminders',
    'dryRun',
    'brake',
    'verify',
  ],
  ...['deadline', 'since', 'after', 'pause', 'maxExtensions', 'maxTotal', 'extended', 'backfill'],
]
