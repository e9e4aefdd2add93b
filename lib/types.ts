// The public types: what a shop declares, what `req.orderTimers` offers, and what comes back.

import type { RequestHandler } from 'express'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { Model, Transaction } from 'sequelize'
import type { BulkOptions, BulkResult, ExtendAllOptions, RunOptions, ScheduleAllOptions } from './bulk.js'
import type { Duration } from './duration.js'
import type { FaultOf, PresenceFaultCode } from './faults.js'
import type { HeldKind, HoldOptions, ReleaseOptions } from './hold.js'
import type { LoggerLike } from './logger.js'
import type { RedisNodes } from './redis/cluster-source.js'
import type { TimersFaultCode } from './redis/outage.js'
import type { RuleForm } from './rules/form.js'
import type { Handler } from './rules/handler.js'
import type { Rule } from './rules/rule.js'

/** An order's id. 34, 34n and '34' are the same order. */
export type OrderId = number | bigint | string

/** An order, or its id. An instance is refreshed with the deadline that was written. */
export type OrderOrId = OrderId | Model

// biome-ignore lint/suspicious/noExplicitAny: a rule over any model of the shop's
export type AnyRule = Rule<RuleForm, any> | Handler

export type Rules = Record<string, AnyRule>

export type FormOf<R> = R extends Rule<infer Form, infer _M> ? Form : 'handler'

/** The names of rules: all of them, or only those of the given forms. */
export type Kind<R, Form extends RuleForm = RuleForm> = string extends keyof R
  ? string
  : { [K in keyof R]: FormOf<R[K]> extends Form ? K : never }[keyof R] & string

export interface OrderTimersOptions<R extends Rules = Rules> {
  /**
   * Where Redis is: a URL, `host:port`, a port, the path of a socket, ioredis options, `nodes` of a cluster, or the shop's own ioredis client, `Redis`
   * or `Cluster`, which is duplicated and otherwise left alone. A `keyPrefix` is respected; timeouts, retries and queues are the timers' own. `false`:
   * only Postgres and the sweep are used. Default: 127.0.0.1:6379.
   */
  redis?: string | number | RedisOptions | RedisNodes | Redis | Cluster | false | undefined
  /** What happens to orders at a deadline, by kind. The kind is also the prefix of its keys in Redis: `order_confirm:34`. */
  rules: R
  /** False: rows are written, and nothing is armed or settled. Default: true, unless the environment variable ORDER_TIMERS is off, false, 0 or no. */
  enabled?: boolean | undefined
  /** The prefix of every key. Two shops on one Redis need different ones. Default: none. */
  prefix?: string | undefined
  /**
   * A logger with the methods of pino or console; `false`: nothing is logged. Default: warnings, errors and `info` lines with a code, such as
   * the end of a fault, go to stderr, at most one a minute for each code, rule and level.
   */
  logger?: LoggerLike | false | undefined
}

export interface WriteOptions {
  /** The shop's Sequelize transaction: the deadline is written in it, and the timer armed once it has committed. Default: the CLS transaction, if there is one. */
  transaction?: Transaction | null | undefined
}

export interface ScheduleOptions extends WriteOptions {
  /** The time from now (by Postgres's clock) to the deadline. Default: the rule's `after`. */
  after?: Duration | undefined
  /** The deadline itself, as a Date or in milliseconds since 1970. An order whose deadline is in the past is settled at once. */
  at?: Date | number | undefined
}

/** One order's pending deadline under a rule. */
export interface Timer {
  kind: string
  /** The order's id as text, whatever its type. */
  id: string
  /** When it is due; null if there is no timer now. */
  deadline: Date | null
  /** Whether Redis has it: true; false where Redis did not answer (the sweep settles the order); 'on commit' within a transaction. */
  armed: boolean | 'on commit'
}

/** A pending timer and the time that remains. */
export interface ListedTimer {
  kind: string
  id: string
  deadline: Date
  /** Milliseconds to the deadline, 0 where it has passed. */
  remaining: number
}

/** A timer whose last attempt failed. It stays until `retry`, or until the order is scheduled again. */
export interface DeadLetter {
  kind: string
  id: string
  /** The last attempt's error message, 500 characters at most. */
  error: string
  attempts: number
  /** When the last attempt failed. */
  at: Date
  /** The first attempt's error message, and when it failed. */
  firstError: string
  firstAt: Date
}

/** The calls on `req.orderTimers` and on the middleware itself. */
export interface TimerCalls<R extends Rules = Rules> {
  /**
   * Gives an order a deadline, and arms the timer in Redis after the commit.
   * @throws OrderTimersError UNKNOWN_KIND, INVALID_ID, INVALID_DURATION, INVALID_DEADLINE (400), ORDER_NOT_FOUND (404),
   * ORDER_NOT_IN_FROM (409), ROW_LOCKED, POSTGRES_UNAVAILABLE (503), and REDIS_UNAVAILABLE (503) for rules without a deadline on the row
   */
  schedule(kind: Kind<R>, order: OrderOrId, options?: ScheduleOptions): Promise<Timer>
  /**
   * Moves the deadline by a duration, counted from the present deadline.
   * @throws OrderTimersError as `schedule`, NO_TIMER (409) if there is no deadline, EXTENSION_LIMIT (409), NOT_ON_SINCE (400)
   */
  extend(kind: Kind<R, 'deadline' | 'redis' | 'handler'>, order: OrderOrId, by: Duration, options?: WriteOptions): Promise<Timer>
  /**
   * Removes the timer. Once this has returned, the rule does not settle the order.
   * @throws OrderTimersError as `schedule`; ORDER_NOT_IN_FROM or NO_TIMER (409) if it came too late; NOT_ON_SINCE (400)
   */
  cancel(kind: Kind<R, 'deadline' | 'redis' | 'handler'>, order: OrderOrId, options?: WriteOptions): Promise<Timer>
  /**
   * Stops the timer until `resume`, and stores the remaining time in the attribute that the rule's `pause.keep` names. Repeating it is harmless.
   * @throws OrderTimersError as `cancel`; NOT_PAUSABLE (400) if the rule has no `pause`, or one by `while`
   */
  pause(kind: Kind<R, 'deadline'>, order: OrderOrId, options?: WriteOptions): Promise<Timer>
  /**
   * Restarts a paused timer with the remaining time. Repeating it is harmless.
   * @throws OrderTimersError as `pause`
   */
  resume(kind: Kind<R, 'deadline'>, order: OrderOrId, options?: WriteOptions): Promise<Timer>
  /**
   * @returns milliseconds to the deadline by Postgres's clock, 0 where it has passed, null if there is no timer
   * @throws OrderTimersError UNKNOWN_KIND, INVALID_ID (400), ORDER_NOT_FOUND (404), POSTGRES_UNAVAILABLE, REDIS_UNAVAILABLE (503)
   */
  remaining(kind: Kind<R>, order: OrderOrId, options?: WriteOptions): Promise<number | null>
  /**
   * For a page of orders, 1,000 at most, in one statement (one pipeline if the deadlines are only in Redis).
   * @returns for each order, in the same order, the result of the call for one; also null if there is no such order
   * @throws OrderTimersError as for one order, except ORDER_NOT_FOUND; INVALID_ID names the index in the array
   */
  remaining(kind: Kind<R>, orders: readonly OrderOrId[], options?: WriteOptions): Promise<(number | null)[]>
  /**
   * The order's pending timers under all rules (for an instance: under the rules of its model), soonest first.
   * @throws OrderTimersError INVALID_ID (400), POSTGRES_UNAVAILABLE, REDIS_UNAVAILABLE (503)
   */
  list(order: OrderOrId, options?: WriteOptions): Promise<ListedTimer[]>
  /**
   * For a page of orders, 1,000 at most, in one statement for each rule.
   * @returns for each order, in the same order, its pending timers, soonest first
   * @throws OrderTimersError as for one order; INVALID_ID names the index in the array
   */
  list(orders: readonly OrderOrId[], options?: WriteOptions): Promise<ListedTimer[][]>
  /**
   * Timers that have used up the rule's `attempts`, of one kind or of all, oldest first. They are kept in Redis. If Redis loses them, the
   * sweep tries the orders again.
   * @throws OrderTimersError UNKNOWN_KIND (400), REDIS_UNAVAILABLE (503)
   */
  dead(kind?: Kind<R>): Promise<DeadLetter[]>
  /**
   * Turns a dead letter into a timer again, due now, with all its attempts.
   * @throws OrderTimersError UNKNOWN_KIND, INVALID_ID (400), NO_TIMER (409) if there is no dead letter, REDIS_UNAVAILABLE (503)
   */
  retry(kind: Kind<R>, order: OrderOrId): Promise<void>
  /**
   * Holds a kind: once this has returned, no worker settles an order of it until `release`. For incidents, such as a payment provider
   * that is down. Deadlines can still be written. It does not use the caller's transaction.
   * @returns the hold, once all running settlements have ended
   * @throws OrderTimersError UNKNOWN_KIND, NOT_HOLDABLE, INVALID_DURATION, INVALID_DEADLINE (400), ALREADY_HELD, WORKERS_TOO_OLD (409), HOLDS_MISSING,
   * INVALID_OPTION (500), POSTGRES_UNAVAILABLE (503); HOLD_IN_FLIGHT (503) if a settlement still runs after two seconds: the hold stands
   */
  hold(kind: Kind<R, 'deadline' | 'since' | 'redis'>, options: HoldOptions): Promise<HeldKind>
  /**
   * Releases a rule that its `brake` has stopped, or that is held; if both, `what` says which. The brake counts from zero. Workers settle at once
   * what was held. With `shift` it returns once all deadlines are moved.
   * @returns whether it was stopped or held
   * @throws OrderTimersError UNKNOWN_KIND, NOT_HOLDABLE, INVALID_DURATION (400), NOT_HELD, HELD_AND_BRAKED, RUN_UNFINISHED (409), INVALID_OPTION, HOLDS_MISSING (500),
   * INVALID_MODEL (500) where with `shift` this user may not write what is moved, ROW_LOCKED, POSTGRES_UNAVAILABLE (503)
   */
  release(kind: Kind<R>, options?: ReleaseOptions): Promise<boolean>
  /**
   * Moves the deadlines of many orders by a duration. The kind is held until all are moved, so nothing is settled at its old deadline.
   * @throws OrderTimersError UNKNOWN_KIND, INVALID_WHERE, INVALID_DURATION, NOT_ON_SINCE, NOT_IN_BULK (400), RUN_UNFINISHED (409), NOT_RECORDED (500)
   * where a table is missing, POSTGRES_UNAVAILABLE (503)
   */
  extendAll(kind: Kind<R, 'deadline'>, options: ExtendAllOptions): Promise<BulkResult>
  /** Gives many orders a deadline: those that have none, or with `overwrite` also the others. @throws OrderTimersError as `extendAll`, INVALID_DEADLINE */
  scheduleAll(kind: Kind<R, 'deadline'>, options: ScheduleAllOptions): Promise<BulkResult>
  /** Removes the timers of many orders. @throws OrderTimersError as `extendAll` */
  cancelAll(kind: Kind<R, 'deadline'>, options: BulkOptions): Promise<BulkResult>
  /** Continues a run whose process was killed or stopped. No order is moved twice. @throws OrderTimersError NO_RUN (409), and as `extendAll` */
  resumeRun(kind: Kind<R, 'deadline'>, options?: RunOptions): Promise<BulkResult>
  /** Ends a run where it is: what it moved stays moved. @throws OrderTimersError NO_RUN (409), and as `extendAll` */
  abandonRun(kind: Kind<R, 'deadline'>): Promise<BulkResult>
}

/** Something that is wrong at present with the timers of a process. */
export type TimersFault = FaultOf<TimersFaultCode | PresenceFaultCode>

/** The state of the timers of a process, for a health check. A worker has a health of its own. */
export interface TimersHealth {
  /** `ok`; `degraded`: there are `faults`, and orders are still settled, at the latest by the sweep; `off`: switched off, or closed. */
  status: 'ok' | 'degraded' | 'off'
  /** Each is also logged when it begins and when it ends. */
  faults: TimersFault[]
  /** Undefined with `redis: false`, and where the timers are switched off. */
  redis:
    | {
        /** Host, port and db, the path of a socket, or the Sentinels' name for it. */
        where: string
        /** False before the first use, and while Redis does not answer. */
        connected: boolean
        /** How many timers are waiting because Redis did not accept them. */
        kept: number
        /** How many timers were dropped since the start of the process because too many were waiting. The sweep settles their orders. */
        dropped: number
      }
    | undefined
}

/** The timers: Express middleware that attaches itself to each request as `req.orderTimers`. */
export interface OrderTimers<R extends Rules = Rules> extends RequestHandler, TimerCalls<R> {
  /**
   * Checks the models, their tables and Redis now instead of at first use.
   * @throws OrderTimersError INVALID_MODEL, INVALID_STATUS, INVALID_OPTION, SHARED_DEADLINE, POSTGRES_UNAVAILABLE, REDIS_UNAVAILABLE, REDIS_UNUSABLE, REDIS_REFUSES
   */
  check(): Promise<void>
  /** The present faults of this process's timers. Sends no query, so it may be called often. */
  health(): TimersHealth
  /** Closes the connections that the timers opened. A second call returns the same promise. */
  close(): Promise<void>
}

/** A shop registers its timers here, so that TypeScript knows the kinds: `interface Register { timers: typeof timers }`. */
// biome-ignore lint/suspicious/noEmptyInterface: to be merged into by the shop
export interface Register {}

export type RegisteredTimers = Register extends { timers: infer T } ? (T extends OrderTimers<infer R> ? TimerCalls<R> : never) : TimerCalls

/** The registered rules' names; any text if none are registered. */
export type RegisteredKind = Register extends { timers: OrderTimers<infer R> } ? Kind<R> : string

declare global {
  namespace Express {
    interface Request {
      /** Attached by `app.use(orderTimers({ … }))`. */
      orderTimers: RegisteredTimers
    }
  }
}
