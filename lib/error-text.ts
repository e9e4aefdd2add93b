// The text of an error for messages, logs, health answers and dead letters, without values of rows, parameters of statements or passwords.
// Postgres's `detail`, Sequelize's items and ioredis's arguments are not read.

const LONGEST = 500

const LONGEST_STACK = 2_000

/** Postgres puts one of these words before a quoted name. Other quoted text is a value. */
const NAMED =
  '(?:column|relation|table|view|index|schema|type|domain|enum|constraint|function|operator|encoding|sequence|role|parameter|trigger|array)'

/** From the first quoted value to the last quote, since a value may itself have quotes and line breaks. */
const QUOTED_VALUE = new RegExp(`(?<!\\b${NAMED} )"[\\s\\S]*"`, 'i')

/** SQLSTATE classes whose messages show a value: data exception, and feature not supported (a cast that is refused while a statement is prepared). */
const SHOWS_VALUES = /^(?:22|0A)/

/** @returns the message without values, cut to 500 characters. This package's own messages are not cut, since they end with the remedy. */
export function errorText(error: unknown): string {
  const text = withoutValues(error, messageOf(error))
  if (isOwn(error)) return text
  return cut(text, LONGEST)
}

/** The same, but this package's own messages are cut too: for storing many errors. */
export function shortErrorText(error: unknown): string {
  return cut(errorText(error), LONGEST)
}

/** The stack of an error, without its message, which may show values; 2,000 characters at most. Empty if it has none. */
export function stackText(error: unknown): string {
  try {
    const { stack } = (error ?? {}) as { stack?: unknown }
    if (typeof stack !== 'string') return ''
    const calls = stack.split('\n').filter((line) => /^\s+at /.test(line))
    return calls.join('\n').slice(0, LONGEST_STACK)
  } catch {
    return ''
  }
}

function cut(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text
}

/** Sequelize's own message is "Operation timeout", although Postgres was not asked. */
const POOL_TIMEOUT = 'SequelizeConnectionAcquireTimeoutError'

function isOwn(error: unknown): boolean {
  const { code } = (error ?? {}) as Coded
  return typeof code === 'string' && code.startsWith('ERR_ORDER_TIMERS_')
}

function messageOf(error: unknown): string {
  try {
    const { errors, message } = (error ?? {}) as { errors?: unknown; message?: unknown }
    if (error instanceof AggregateError && Array.isArray(errors) && !message) return errors.map(errorText).join('; ')
    if ((error as { name?: unknown })?.name === POOL_TIMEOUT) return "Sequelize's pool had no free connection in time"
    if (typeof message === 'string' && typeof error === 'object') return message
    return typeof error === 'object' && error !== null ? Object.prototype.toString.call(error) : String(error)
  } catch {
    return 'an error that cannot be shown'
  }
}

function withoutValues(error: unknown, text: string): string {
  const { name, code, parent, original } = (error ?? {}) as { name?: unknown; code?: unknown; parent?: Coded; original?: Coded }
  const state = parent?.code ?? original?.code ?? code
  if (typeof state === 'string' && SHOWS_VALUES.test(state) && state.length === 5)
    return text.replace(QUOTED_VALUE, '"…"').replace(/: 0x[\s\S]*$/, ': …')
  // Sequelize's type validation shows what it was given, and its SQL escaping an object that it cannot escape.
  if (typeof name === 'string' && /^Sequelize/.test(name)) return text.replace(/[\s\S]*(?= is not a valid )/, '"…"')
  return text
    .replace(/^Invalid value [\s\S]*$/, 'Invalid value …') // of Sequelize's escaping
    .replace(/, with args beginning with: [\s\S]*$/, '') // of Redis's "unknown command"
}

interface Coded {
  code?: unknown
}
