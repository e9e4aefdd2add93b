// The error behind one of ours, as it may be printed whole: loggers and error handlers print a `cause` with all that it has, and the errors of
// Sequelize, pg and ioredis have the statement, its parameters, values of rows and the arguments of commands.

import { errorText } from './error-text.js'

/** What errors of Sequelize, pg and ioredis have. */
interface DatabaseError extends Error {
  code?: unknown
  parent?: { code?: unknown }
  original?: { code?: unknown }
  /** Of Postgres's own. */
  severity?: unknown
  /** Of ioredis: the command that was refused. */
  command?: { name?: unknown }
}

/** @returns a database's error by its class, name, text, code and stack alone; any other as it is */
export function shownCause(cause: unknown): unknown {
  if (!(cause instanceof Error) || !isOfDatabase(cause)) return cause
  const { name, stack, code: own, parent, original, command }: DatabaseError = cause
  const text = errorText(cause)
  const shown = Object.setPrototypeOf(new Error(text), Object.getPrototypeOf(cause)) as DatabaseError
  Object.defineProperty(shown, 'name', { value: name, configurable: true, writable: true })
  Object.defineProperty(shown, 'stack', { value: [`${name}: ${text}`, ...framesOf(stack)].join('\n'), configurable: true, writable: true })
  const code = parent?.code ?? original?.code ?? own
  if (code !== undefined) shown.code = code
  if (command !== undefined) shown.command = { name: command?.name }
  return shown
}

function isOfDatabase(error: DatabaseError): boolean {
  return /^(?:Sequelize|AggregateError$)/.test(error.name) || 'severity' in error || 'command' in error
}

/** Without the text above them, which is the message and may have values of its own. */
function framesOf(stack: string | undefined): string[] {
  return (stack ?? '').split('\n').filter((line) => /^\s+at .*(?::\d+:\d+\)?|<anonymous>\)?)$/.test(line))
}
