// Every error that this package throws: one class, a code for each, and a message that names the option, shows the value and says what to do.
// docs/errors.md has a section for each code; a test compares the two.

import { redactedCause } from './redacted-cause.js'
import { show } from './show.js'

export { show } from './show.js'

/** When each code is thrown, and the HTTP status that an Express error handler should answer with. */
const STATUS = {
  /** When the timers, a rule or the worker are made with a wrong option, and by a call with an option that it does not have. */
  INVALID_OPTION: 500,
  /** When a rule is made, by `startExpiryWorker` and by calls that take a duration, with something that is none or is out of bounds. */
  INVALID_DURATION: 400,
  /** By `schedule` with an `at` that is not an instant, or with both `after` and `at`; and if an `after` function returns an invalid or past Date. */
  INVALID_DEADLINE: 400,
  /** At the first use of a rule whose model or table cannot be used, by `startExpiryWorker` and by `check`. */
  INVALID_MODEL: 500,
  /** At the first use of a rule whose `from` or `to` is not a value of the status attribute, by `startExpiryWorker` and by `check`. */
  INVALID_STATUS: 500,
  /** When the timers are made, or at first use, with two rules that have one deadline attribute. */
  SHARED_DEADLINE: 500,
  /** By the first request, if the shop mounted `orderTimers` itself instead of its return value. */
  NOT_CALLED: 500,
  /** By `startExpiryWorker` with something that is neither timers nor an app on which exactly one is mounted. */
  NOT_MOUNTED: 500,
  /** By the command `order-timers` if it finds no timers to load. */
  TIMERS_NOT_FOUND: 500,
  /** By every call that takes a kind, with an unknown kind. */
  UNKNOWN_KIND: 400,
  /** By every call that takes an order, with something that is neither an id of its type nor an instance of its model. */
  INVALID_ID: 400,
  /** By `extend`, `cancel`, `pause`, `resume` and calls about many orders, and by `schedule` with `after` or `at`, on a rule with `since`. */
  NOT_ON_SINCE: 400,
  /** By every call that takes an order, if the table has no such row. */
  ORDER_NOT_FOUND: 404,
  /** By `schedule`, `extend`, `cancel`, `pause` and `resume`, if the rule does not apply (or no longer applies) to the order. */
  ORDER_NOT_IN_FROM: 409,
  /** By `extend`, `pause` and `resume` without a timer, by `cancel` if timers are only in Redis, and by `retry` without a dead letter. */
  NO_TIMER: 409,
  /** By an invalid action of an operator: an unknown action, no orders, or more than 200. */
  INVALID_ACTION: 400,
  /** By an action of an operator that cannot be recorded: the table of actions is missing, or the role has no right to it. */
  NOT_RECORDED: 500,
  /** By `extendAll`, `scheduleAll` and `cancelAll` if no orders are selected, or with an unknown attribute, an operator or a wrong value. */
  INVALID_WHERE: 400,
  /** By the same, on a rule whose deadlines are only in Redis. */
  NOT_IN_BULK: 400,
  /** By the same and by `resumeRun`, where a run of the kind has not ended, or could not be ended; by `release`, where a run alone holds the kind. */
  RUN_UNFINISHED: 409,
  /** By `resumeRun` and `abandonRun`, if every run of the kind has ended. */
  NO_RUN: 409,
  /** By `hold`, if the kind is already held. */
  ALREADY_HELD: 409,
  /** By `hold`, if settlements that began before still run. The hold stands. */
  HOLD_IN_FLIGHT: 503,
  /** By `hold`, `release` and calls about many orders: the table of holds is missing, or the role has no right to it. */
  HOLDS_MISSING: 500,
  /** By `release` with options of a hold, if the kind is not held. */
  NOT_HELD: 409,
  /** By `hold` and `release`, if the kind, or the requested end, is not possible. */
  NOT_HOLDABLE: 400,
  /** By `hold` and calls about many orders, if workers of a version without holds run. */
  WORKERS_TOO_OLD: 409,
  /** By `release` if both the brake and a hold stop the kind, and `what` is not given. */
  HELD_AND_BRAKED: 409,
  /** By `extend` beyond `maxExtensions` or `maxTotal`. */
  EXTENSION_LIMIT: 409,
  /** By `pause` and `resume` on a rule without `pause`, or with `pause.while`. */
  NOT_PAUSABLE: 400,
  /** In the worker: `run` of an `effect` left the order where it is still due. */
  STILL_DUE: 500,
  /** In the worker: a trigger or a hook of the shop kept a settlement from being written. By calls that write: the same of a deadline. */
  VETOED: 500,
  /** By `upsert`, and by `bulkCreate` with `updateOnDuplicate`, on a model that a rule with `auto` hooks. */
  AUTO_UPSERT: 500,
  /** By calls without a transaction, and by `release` with `shift`, if another transaction holds the lock on the row for too long. */
  ROW_LOCKED: 503,
  /** By `check`, `dead`, `retry` and calls on rules whose deadlines are only in Redis, if Redis does not answer or is not used. */
  REDIS_UNAVAILABLE: 503,
  /** Like REDIS_UNAVAILABLE, if Redis answers but cannot serve timers (one node of a cluster, a replica, an old version). */
  REDIS_UNUSABLE: 503,
  /** Like REDIS_UNAVAILABLE, if Redis refuses the command (rights, memory). */
  REDIS_REFUSES: 503,
  /** By every call that reads or writes a row, if Postgres does not answer. */
  POSTGRES_UNAVAILABLE: 503,
  /** By every call that takes `{ transaction }`, with one that has been committed or rolled back. In the worker: COMMIT rolled a settlement back. */
  TRANSACTION_FINISHED: 500,
  /** By calls that write, if the connection broke or stayed silent after the statement was sent. It may have been carried out. */
  OUTCOME_UNKNOWN: 503,
  /** In the worker: `ask` of `verify` did not answer within `verify.timeout`. */
  ASK_TIMED_OUT: 500,
  /** In the worker: `ask` of `verify` returned too few or too many answers, or an invalid answer. */
  INVALID_ANSWER: 500,
  /** By every call after `timers.close()`. */
  CLOSED: 503,
  /** If a part of this package needs another package, which is not installed. */
  MISSING_PACKAGE: 500,
  /** By a calendar, if ten years have no working day. */
  NO_WORKING_DAY: 500,
  /** By `expire` of `express-order-timers/testing`, if the order was not settled. */
  NOT_SETTLED: 500,
} as const

export type ErrorName = keyof typeof STATUS
export type ErrorCode = `ERR_ORDER_TIMERS_${ErrorName}`

export function errorName(code: ErrorCode): ErrorName {
  return code.replace('ERR_ORDER_TIMERS_', '') as ErrorName
}

/** All codes, for the test that compares the documentation with them. */
export const ERROR_CODES = Object.keys(STATUS).map((name) => `ERR_ORDER_TIMERS_${name}`) as ErrorCode[]

/** One of the things that `timers.check()` found wrong. */
export interface Problem {
  /** The rule. Undefined if it is about Redis or several rules. */
  kind?: string
  code: ErrorCode
  /** What is wrong, and what to do about it. */
  message: string
}

/**
 * Thrown by everything in this package. `code` is stable, `status` is the HTTP status an Express error handler should use
 * (400, 404, 409, 503; 500 for wrong configuration), and `expose` says whether the message may be shown to a client.
 */
export class OrderTimersError extends Error {
  override readonly name = 'OrderTimersError'
  readonly code: ErrorCode
  readonly status: number
  readonly expose: boolean
  /** For `timers.check()`: everything that it found, including this error. */
  declare readonly problems?: readonly Problem[]

  /** @internal only this package throws it */
  constructor(name: ErrorName, message: string, { problems, ...options }: { cause?: unknown; problems?: readonly Problem[] } = {}) {
    super(message, 'cause' in options ? { cause: redactedCause(options.cause) } : {})
    if (problems) this.problems = problems
    this.code = `ERR_ORDER_TIMERS_${name}`
    this.status = STATUS[name]
    this.expose = this.status < 500
  }
}

/** Marks the errors of every copy of this package. */
const MARK = Symbol.for('express-order-timers.error')
Object.defineProperty(OrderTimersError.prototype, MARK, { value: true })
Object.defineProperty(OrderTimersError, Symbol.hasInstance, { value: isInstance })

/** A process may have several copies of this package: CommonJS and ESM, or two versions. Their errors are instances too. */
function isInstance(this: unknown, value: unknown): boolean {
  const isOurs = value !== null && typeof value === 'object' && Reflect.get(value, MARK) === true
  return isOurs && (this === OrderTimersError || Function.prototype[Symbol.hasInstance].call(this, value))
}

/** Refuses unknown option names, so that a misspelt option is noticed, and values that are not objects. @throws OrderTimersError INVALID_OPTION */
export function refuseUnknownOptions(where: string, options: object, known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw new OrderTimersError('INVALID_OPTION', `${where}: the options must be an object, got ${show(options)}`)
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    throw new OrderTimersError('INVALID_OPTION', `${where}: unknown option ${show(name)}; the options are ${known.join(', ')}`)
  }
}
