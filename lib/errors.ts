// Every error this package throws: one class, one code each, a message that names the thing, shows the value and says the remedy.
// docs/errors.md has a heading for each code, and a test holds the two against each other.

import { inspect, types } from 'node:util'
import { shownCause } from './shown-cause.js'

/** Each code with the HTTP status that an Express error handler should answer with. */
const STATUS = {
  INVALID_OPTION: 500,
  INVALID_DURATION: 400,
  INVALID_DEADLINE: 400,
  INVALID_MODEL: 500,
  INVALID_STATUS: 500,
  SHARED_DEADLINE: 500,
  NOT_CALLED: 500,
  NOT_MOUNTED: 500,
  TIMERS_NOT_FOUND: 500,
  UNKNOWN_KIND: 400,
  INVALID_ID: 400,
  NOT_ON_SINCE: 400,
  ORDER_NOT_FOUND: 404,
  ORDER_NOT_IN_FROM: 409,
  NO_TIMER: 409,
  EXTENSION_LIMIT: 409,
  NOT_PAUSABLE: 400,
  STILL_DUE: 500,
  VETOED: 500,
  AUTO_UPSERT: 500,
  ROW_LOCKED: 503,
  REDIS_UNAVAILABLE: 503,
  REDIS_UNUSABLE: 503,
  REDIS_REFUSES: 503,
  POSTGRES_UNAVAILABLE: 503,
  TRANSACTION_FINISHED: 500,
  OUTCOME_UNKNOWN: 503,
  CLOSED: 503,
  NOT_SETTLED: 500,
} as const

export type ErrorName = keyof typeof STATUS
export type ErrorCode = `ERR_ORDER_TIMERS_${ErrorName}`

export function errorName(code: ErrorCode): ErrorName {
  return code.replace('ERR_ORDER_TIMERS_', '') as ErrorName
}

/** All codes, for the test that holds the documentation against them. */
export const ERROR_CODES = Object.keys(STATUS).map((name) => `ERR_ORDER_TIMERS_${name}`) as ErrorCode[]

/** One of the things that `timers.check()` found wrong. */
export interface Problem {
  /** The rule that it is about; left out where it is about Redis, or about rules together. */
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
    super(message, 'cause' in options ? { cause: shownCause(options.cause) } : {})
    if (problems) this.problems = problems
    this.code = `ERR_ORDER_TIMERS_${name}`
    this.status = STATUS[name]
    this.expose = this.status < 500
  }
}

/** What the errors of every copy of this package carry. */
const MARK = Symbol.for('express-order-timers.error')
Object.defineProperty(OrderTimersError.prototype, MARK, { value: true })
Object.defineProperty(OrderTimersError, Symbol.hasInstance, { value: isInstance })

/** An error of another copy of this package is one too: CommonJS and ESM in one process, or two installed versions. */
function isInstance(this: unknown, value: unknown): boolean {
  const isOurs = value !== null && typeof value === 'object' && Reflect.get(value, MARK) === true
  return isOurs && (this === OrderTimersError || Function.prototype[Symbol.hasInstance].call(this, value))
}

/**
 * A value as an error message or a log shows it, on one line and cut to 128 characters: text JSON-escaped, numbers and dates as they are.
 * Of an object only its type and the names of its keys are shown, since it may be an order's row. Never throws and calls no code of the
 * value's own, so that a proxy or a getter cannot put its text into a message.
 */
export function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value.slice(0, 129)) : shown(value)
  return text.length > 128 ? `${text.slice(0, 127)}…` : text
}

function shown(value: unknown): string {
  if (typeof value === 'function') return types.isProxy(value) ? 'a Proxy' : functionName(value)
  if (value === null || typeof value !== 'object') return inspect(value)
  if (types.isProxy(value)) return 'a Proxy'
  if (types.isDate(value)) return dateText(value)
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `an array of ${value.length}`
  const type = typeName(value)
  if (type !== 'Object') return `${/^[AEIOU]/.test(type) ? 'an' : 'a'} ${type}`
  const keys = Object.keys(value)
  if (keys.length === 0) return '{}'
  const named = keys.slice(0, MOST_KEYS).map((key) => (NAME.test(key) ? key : '…'))
  return `an object with the keys ${named.join(', ')}${keys.length > MOST_KEYS ? ', …' : ''}`
}

/** Keys that are no names may be data: an address, a line of text. */
const NAME = /^[A-Za-z_$][\w$]{0,63}$/

const MOST_KEYS = 8

/** The class of an object, without a look at anything that may be a getter. */
function typeName(object: object): string {
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype === null) return 'Object'
  if (types.isProxy(prototype)) return 'Proxy'
  const made: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  const name: unknown = typeof made === 'function' && Object.getOwnPropertyDescriptor(made, 'name')?.value
  return typeof name === 'string' && NAME.test(name) ? name : 'Object'
}

function functionName(value: object): string {
  const name: unknown = Object.getOwnPropertyDescriptor(value, 'name')?.value
  return `[Function: ${typeof name === 'string' && NAME.test(name) ? name : '(anonymous)'}]`
}

function dateText(value: Date): string {
  const time = Date.prototype.getTime.call(value)
  return Number.isNaN(time) ? 'Invalid Date' : new Date(time).toISOString()
}

/** Refuses option names that are not known, so that a misspelt option never passes silently. */
export function refuseUnknownOptions(where: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    throw new OrderTimersError('INVALID_OPTION', `${where}: unknown option ${show(name)}; the options are ${known.join(', ')}`)
  }
}
