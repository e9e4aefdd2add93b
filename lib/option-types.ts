// Checks single options of a call, for JavaScript users: text such as 'yes' is refused, and not silently treated as false. Each error
// names the option, shows the value, and says what it must be.

import { OrderTimersError, show } from './errors.js'

/** @returns false if it is not given @throws OrderTimersError INVALID_OPTION */
export function parseFlag(where: string, name: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false
  throw wrongType(where, name, 'true or false', value)
}

/** @throws OrderTimersError INVALID_OPTION */
export function requireFunction(where: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw wrongType(where, name, 'a function', value)
}

/** @throws OrderTimersError INVALID_OPTION */
export function requireText(where: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') throw wrongType(where, name, 'a text', value)
}

/** By its methods, since a signal may come from a polyfill. @throws OrderTimersError INVALID_OPTION */
export function requireSignal(where: string, name: string, value: unknown): void {
  const { aborted, addEventListener, throwIfAborted } = Object(value) as Partial<AbortSignal>
  const isSignal = typeof aborted === 'boolean' && typeof addEventListener === 'function' && typeof throwIfAborted === 'function'
  if (value !== undefined && !isSignal) throw wrongType(where, name, 'an AbortSignal', value)
}

function wrongType(where: string, name: string, wanted: string, value: unknown): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `${where}: "${name}" must be ${wanted}, got ${show(value)}`)
}
