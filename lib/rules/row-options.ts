// The options that `transition` and `effect` share, as a shop writes them. They are parsed in parse-row-options.ts.

import type { Model, WhereOptions } from 'sequelize'
import type { Duration } from '../duration.js'
import type { AfterCommit, Description, Run } from '../rows/row-options.js'

export type Attribute<M extends Model> = keyof M['_attributes'] & string

/** How long from now to the deadline; a function of the order may also say null: this order never times out. */
export type After<M extends Model> = Duration | ((order: M) => Duration | null)

export interface Reminder<M extends Model> {
  /** How long before the deadline. */
  before: Duration
  /** At most once for each deadline, with up to 100 orders at once: where it throws, none of them is told again. `idempotencyKeys[i]` belongs to `orders[i]`. */
  run: AfterCommit<M>
  /** A reminder that is late by more is dropped. Default: half of `before`. */
  staleAfter?: Duration
}

export interface CommonOptions<M extends Model> {
  /** More that must hold on the row, as a Sequelize `where`. An order that it holds back stays until it holds no longer. */
  where?: WhereOptions<M['_attributes']>
  /** Runs in the settling transaction with the locked, updated instances: once for each order, and undone with it when it throws. */
  run?: Run<M>
  /**
   * Runs after the commit, with up to 100 orders at once: best effort, and with `history` at least once, even when the worker died right after
   * the commit; what failed is told again one by one, until `attempts`. The worker's next batches of this rule wait for it.
   */
  afterCommit?: AfterCommit<M>
  /** Writes what happened into the table `order_timers_history`, in the same transaction. */
  history?: boolean
  /** For logs: a text, or a function of the order's id. */
  description?: Description
  /** Failed attempts of this rule's own until the timer is a dead letter. Default: 25. */
  attempts?: number
  /** Until work in hand is given up and counted as a failed attempt. Default: 30 s; from 100 ms to a day. */
  timeout?: Duration
  /** What is overdue by more is reported and not settled. Default: 7 days. */
  staleAfter?: Duration
  /** Told so long before the deadline, at most once for each deadline, and never after the order left. Needs `history`. */
  reminders?: readonly Reminder<M>[]
  /** Does all but the UPDATE: says in the log and by the event `dryRun` what would be settled. */
  dryRun?: boolean
  /** Stops the rule when it would settle more than `max` orders within `per`, counted in Postgres, until it is released. */
  brake?: { max: number; per: Duration }
}

/** Each order has a deadline of its own, on its row: durable, and it can be extended and cancelled. */
export interface DeadlineForm<M extends Model> {
  /** The attribute with the deadline: DATE, null where there is no timer. */
  deadline: Attribute<M>
  /** From `schedule` to the deadline, unless `schedule` is told otherwise; also as a function of the order. */
  after?: After<M>
  /** `keep` names the attribute (BIGINT) that keeps the milliseconds left; `while` pauses by itself as long as it holds on the row. */
  pause?: { keep: Attribute<M>; while?: WhereOptions<M['_attributes']> }
  /** How often a deadline may be extended; counted in the attribute that `extended` names. */
  maxExtensions?: number
  /** How much may be added by extending, in all; counted in the attribute that `extended` names, in milliseconds. */
  maxTotal?: Duration
  /** The attribute (INTEGER, or BIGINT for `maxTotal`) in which extensions are counted. */
  extended?: Attribute<M>
  /** Orders in `from` without a deadline get one from the sweep: `after` from now, or from the attribute that `since` names. */
  backfill?: boolean | { since: Attribute<M> }
  since?: never
}

/** The deadline is counted from a column that the table has already. */
export interface SinceForm<M extends Model> {
  /** The attribute that the deadline is counted from, such as `createdAt`. */
  since: Attribute<M>
  after: Duration
  deadline?: never
}

/** The old recipe: the deadline is in Redis alone, and as durable as Redis is; the status alone guards the row. */
export interface RedisForm {
  deadline: false
  after?: Duration
  since?: never
}

/** The names of all of these options. */
export const COMMON = [
  ...['where', 'run', 'afterCommit', 'history', 'description', 'attempts', 'timeout', 'staleAfter', 'reminders', 'dryRun', 'brake'],
  ...['deadline', 'since', 'after', 'pause', 'maxExtensions', 'maxTotal', 'extended', 'backfill'],
]
