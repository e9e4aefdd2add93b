// Every error that this package throws: one class, one code each, and a message that names the thing, shows the value and says what to do.
// docs/errors.md has a section for each code; a test compares the two.

import { redactedCause } from './redacted-cause.js'
import { show } from './show.js'

export { show } from './show.js'

/** When each code is thrown, and the HTTP status that an Express error handler should answer with. */
const STATUS = {
  /** When the timers, a rule or the worker are made with a wrong option, and by a call with an option that it does not have. */
  INVALID_OPTION: 500,
  /** When a rule is made, and by `schedule`, `extend` and `duration`, with something that is no duration or is out of bounds. */
  INVALID_DURATION: 400,
  /** By `schedule` with an `at` that is no instant, or with both `after` and `at`; where a function `after` returns a Date that is none or has passed. */
  INVALID_DEADLINE: 400,
  /** At the first use of a rule whose model or table cannot be used, by `startExpiryWorker` and by `check`. */
  INVALID_MODEL: 500,
  /** At the first use of a rule whose `from` or `to` is no value of the status attribute, by `startExpiryWorker` and by `check`. */
  INVALID_STATUS: 500,
  /** When the timers are made, or at first use, with two rules that have one deadline attribute. */
  SHARED_DEADLINE: 500,
  /** By the first request, where the shop mounted `orderTimers` itself instead of what it returns. */
  NOT_CALLED: 500,
  /** By `startExpiryWorker` with something that is neither timers nor an app on which exactly one is mounted. */
  NOT_MOUNTED: 500,
  /** By the command `order-timers` where it finds no timers to load. */
  TIMERS_NOT_FOUND: 500,
  /** By every call that takes a kind, with a name that is no rule. */
  UNKNOWN_KIND: 400,
  /** By every call that takes an order, with something that is neither an id of its type nor an instance of its model. */
  INVALID_ID: 400,
  /** By `extend` and `cancel`, and by `schedule` with `after` or `at`, on a rule with `since`. */
  NOT_ON_SINCE: 400,
  /** By every call that takes an order, where the table has no such row. */
  ORDER_NOT_FOUND: 404,
  /** By `schedule`, `extend` and `cancel`, where the order is not (or no longer) where the rule applies. */
  ORDER_NOT_IN_FROM: 409,
  /** By `extend`, `pause` and `resume` without a timer, by `cancel` where Redis alone has timers, and by `retry` without a dead letter. */
  NO_TIMER: 409,
  /** By an act of an operator that is none, or lacks something: an unknown action, no orders, more than 200. */
  INVALID_ACTION: 400,
  /** By an act of an operator that cannot be recorded: the table of actions is missing, or the role has no right to it. */
  NOT_RECORDED: 500,
  /** By `extendAll`, `scheduleAll` and `cancelAll` without orders to be about, or with an unknown attribute, an operator or a wrong value. */
  INVALID_WHERE: 400,
  /** By the same, on a rule whose deadlines Redis alone has. */
  NOT_IN_BULK: 400,
  /** By the same and by `resumeRun`, where a run of the kind has not ended, or could not be ended. */
  RUN_UNFINISHED: 409,
  /** By `resumeRun` and `abandonRun`, where every run of the kind has ended. */
  NO_RUN: 409,
  /** By `hold`, where the kind is held already. */
  ALREADY_HELD: 409,
  /** By `hold`, where orders are still being settled that were begun before. The hold stands. */
  HOLD_IN_FLIGHT: 503,
  /** By `hold` and `release`: the table of holds is missing, or the role has no right to it. */
  HOLDS_MISSING: 500,
  /** By `release` with options of a hold, where the kind is not held. */
  NOT_HELD: 409,
  /** By `hold` and `release`, where the kind or what is asked for does not go with a hold. */
  NOT_HOLDABLE: 400,
  /** By `hold`, where workers run that know no holds. */
  WORKERS_TOO_OLD: 409,
  /** By `release` where both the brake and a hold stop the kind, and it does not say which is to be released. */
  HELD_AND_BRAKED: 409,
  /** By `extend` beyond `maxExtensions` or `maxTotal`. */
  EXTENSION_LIMIT: 409,
  /** By `pause` and `resume` on a rule without `pause`, or with `pause.while`. */
  NOT_PAUSABLE: 400,
  /** In the worker: `run` of an `effect` left the order where it is still due. */
  STILL_DUE: 500,
  /** In the worker: a trigger or a hook of the shop kept a settlement from being written. */
  VETOED: 500,
  /** By `upsert`, and by `bulkCreate` with `updateOnDuplicate`, on a model that a rule with `auto` hooks. */
  AUTO_UPSERT: 500,
  /** By calls without a transaction, where another transaction has held the lock on the row for too long. */
  ROW_LOCKED: 503,
  /** By `check`, `retry` and calls on rules whose deadlines Redis alone has, where Redis does not answer or is not used. */
  REDIS_UNAVAILABLE: 503,
  /** Like REDIS_UNAVAILABLE, where Redis answers and cannot serve timers (a cluster, a replica, an old version). */
  REDIS_UNUSABLE: 503,
  /** Like REDIS_UNAVAILABLE, where Redis answers and refuses the command (its rights, its memory). */
  REDIS_REFUSES: 503,
  /** By every call that reads or writes a row, where Postgres does not answer. */
  POSTGRES_UNAVAILABLE: 503,
  /** By every call that takes `{ transaction }`, with one that has been committed or rolled back. */
  TRANSACTION_FINISHED: 500,
  /** By calls that write, where the connection broke or stayed silent after the statement was sent. It may have been carried out. */
  OUTCOME_UNKNOWN: 503,
  /** In the worker: `ask` of `verify` did not answer within `verify.timeout`. */
  ASK_TIMED_OUT: 500,
  /** In the worker: `ask` of `verify` answered too few or too many, or something that is no answer. */
  INVALID_ANSWER: 500,
  /** By every call after `timers.close()`. */
  CLOSED: 503,
  /** Where a part of this package needs another package, which is not installed. */
  MISSING_PACKAGE: 500,
  /** By a calendar, where ten years have no working day. */
  NO_WORKING_DAY: 500,
  /** By `expire` of `express-order-timers/testing`, where the order was not settled. */
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
  /** The rule that it is about. Undefined where it is about Redis or about several rules. */
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
  /** Of `timers.check()`: everything that it found, this included. */
  declare readonly problems?: readonly Problem[]

  /** @internal thrown by this package alone */
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

/** Refuses unknown option names, so that a misspelt option is noticed, and what is no object. @throws OrderTimersError INVALID_OPTION */
export function refuseUnknownOptions(where: string, options: object, known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw new OrderTimersError('INVALID_OPTION', `${where}: the options must be an object, got ${show(options)}`)
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    throw new OrderTimersError('INVALID_OPTION', `${where}: unknown option ${show(name)}; the options are ${known.join(', ')}`)
  }
}
