// How error messages and logs show a value that a shop passed. Row values do not get into a message, and no code of the value
// is called.

import { inspect, types } from 'node:util'

/**
 * A value on one line of at most 128 characters: text JSON-escaped, numbers and dates as they are, an object by its type and the names of its
 * keys, since it may be an order's row. Never throws, and calls neither a proxy's traps nor a getter.
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

/** A key that does not look like a name may be data, such as an address. */
const NAME = /^[A-Za-z_$][\w$]{0,63}$/

const MOST_KEYS = 8

/** The name of an object's class. Reads no property that may be a getter. */
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
