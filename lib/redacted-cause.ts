// The `cause` of an error without data of the shop. Loggers and error handlers print a cause with all its properties, and the errors of
// Sequelize, pg and ioredis carry the statement, its parameters, values of rows and the arguments of commands.

import { errorText } from './error-text.js'

/** Properties by which errors of Sequelize, pg and ioredis are recognized. */
interface DatabaseError extends Error {
  code?: unknown
  parent?: { code?: unknown }
  original?: { code?: unknown }
  /** From Postgres. */
  severity?: unknown
  /** From ioredis: the command that Redis refused. */
  command?: { name?: unknown }
}

/** @returns for a database error a copy with only class, name, text, code and stack; any other error unchanged */
export function redactedCause(cause: unknown): unknown {
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

/** The stack's frames without the message above them, which may have values. */
function framesOf(stack: string | undefined): string[] {
  return (stack ?? '').split('\n').filter((line) => /^\s+at .*(?::\d+:\d+\)?|<anonymous>\)?)$/.test(line))
}
