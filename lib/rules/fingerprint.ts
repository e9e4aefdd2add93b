// The fingerprint of a rule's declared options, with which two processes compare their rules. Only values that are the same in
// every process of one version count: for a function only that it is given, and the same for a date, since it may be made when the process starts. The model
// does not count, since its name may be minified.

import { createHash } from 'node:crypto'
import { types } from 'node:util'

/** A short text that is equal if the rule's declared values are equal. @param declared the rule's options, parsed */
export function fingerprint(declared: unknown): string {
  return createHash('sha256').update(canonical(declared, 0)).digest('hex').slice(0, 12)
}

/** Deeper than any condition that a person writes. A Sequelize expression may refer to its model, and so to everything. */
const DEEPEST = 12

function canonical(value: unknown, depth: number): string {
  if (typeof value === 'function') return 'function'
  if (value === null || typeof value !== 'object') return `${typeof value} ${String(value)}`
  if (types.isProxy(value)) return 'proxy'
  if (types.isDate(value)) return 'date'
  if (depth === DEEPEST) return 'deep'
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one, depth + 1)).join()}]`
  if (!isPlain(value)) return expression(value, depth)
  const entries = Reflect.ownKeys(value).flatMap((key) => {
    const descriptor = Object.getOwnPropertyDescriptor(value, key)
    if (descriptor === undefined || descriptor.value === undefined) return []
    return [`${String(key)}: ${canonical(descriptor.value, depth + 1)}`]
  })
  return `{${entries.sort().join()}}`
}

/** `literal(…)`, `fn(…)`, `col(…)`: their text and arguments, but not their class, whose name may be minified. */
function expression(value: object, depth: number): string {
  const { val, fn, col, args } = value as Record<string, unknown>
  return `expression ${canonical({ val, fn, col, args }, depth + 1)}`
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
