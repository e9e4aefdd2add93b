// The message of a failed command on stderr, and its exit status.

import { errorText } from '../error-text.js'
import { faultOwnerOf, isDatabaseTrouble } from '../sequelize/fault-owner.js'
import { FAILED, UNAVAILABLE, USAGE } from './command.js'
import { UsageError } from './usage-error.js'

/** Errors in the command line, and errors because nothing could be read, or because what runs did not end in time. */
const TYPED = ['UNKNOWN_KIND', 'INVALID_ID', 'INVALID_ACTION', 'INVALID_DURATION', 'INVALID_WHERE', 'INVALID_DEADLINE', 'NO_RUN']
const NOT_NOW = ['TIMERS_NOT_FOUND', 'REDIS_UNAVAILABLE', 'REDIS_UNUSABLE', 'POSTGRES_UNAVAILABLE', 'HOLD_IN_FLIGHT']

export function statusOf(error: unknown): number {
  const name = String((error as { code?: unknown } | null | undefined)?.code).replace('ERR_ORDER_TIMERS_', '')
  if (error instanceof UsageError || TYPED.includes(name)) return USAGE
  return NOT_NOW.includes(name) || isDatabaseTrouble(error) ? UNAVAILABLE : FAILED
}

/** With the cause's stack if the shop's module could not be loaded, since it shows the place. */
export function failureText(error: unknown): string {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown }
  const message = errorText(error)
  if (code === 'ERR_ORDER_TIMERS_TIMERS_NOT_FOUND' && cause instanceof Error) return `${message}\n${stackOf(cause)}`
  const known = typeof code === 'string' && code.startsWith('ERR_ORDER_TIMERS_')
  if (!known && !(error instanceof UsageError) && faultOwnerOf(error) === 'internal') {
    const remedy = 'report it with the versions of this package, Sequelize and Node'
    return `order-timers: a bug in express-order-timers (${message}); ${remedy}${error instanceof Error ? `\n${stackOf(error)}` : ''}`
  }
  return `${/^order-?timers:/i.test(message) ? '' : 'order-timers: '}${message}${known ? ` (${code})` : ''}`
}

/** The stack begins with the message, so values are removed from it too. */
function stackOf(error: Error): string {
  const { stack = '', message } = error
  return message === '' ? stack : stack.replaceAll(message, () => errorText(error))
}
