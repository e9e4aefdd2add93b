// What may be shown of an error in a message, a log, a health answer or the dead letters: its text, without a row's values, a statement's
// parameters or a password. Postgres's `detail`, Sequelize's items and ioredis's arguments are never read here.

const LONGEST = 500

/** Words that stand before a name that Postgres quotes; what it quotes elsewhere in these messages is a value. */
const NAMED =
  '(?:column|relation|table|view|index|schema|type|domain|enum|constraint|function|operator|encoding|sequence|role|parameter|trigger|array)'

/** From the first quoted value to the last quote: a value may have quotes and line breaks of its own. */
const QUOTED_VALUE = new RegExp(`(?<!\\b${NAMED} )"[\\s\\S]*"`, 'i')

/** Errors of these classes say which value could not be taken: data exception, and what a cast refuses while a statement is prepared. */
const SHOWS_VALUES = /^(?:22|0A)/

/** @returns the message on its own, cut to 500 characters; this package's own errors are whole, since they end with the remedy */
export function errorText(error: unknown): string {
  const text = withoutValues(error, messageOf(error))
  if (isOwn(error)) return text
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text
}

function isOwn(error: unknown): boolean {
  const { code } = (error ?? {}) as Coded
  return typeof code === 'string' && code.startsWith('ERR_ORDER_TIMERS_')
}

function messageOf(error: unknown): string {
  try {
    const { errors, message } = (error ?? {}) as { errors?: unknown; message?: unknown }
    if (error instanceof AggregateError && Array.isArray(errors) && !message) return errors.map(errorText).join('; ')
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
