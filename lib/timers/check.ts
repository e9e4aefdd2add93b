// `timers.check()`: finds what would otherwise fail at first use, and throws all of it in one error. For a startup script, or a health check
// before traffic.

import { errorText } from '../error-text.js'
import { errorName, OrderTimersError, type Problem } from '../errors.js'
import { assertUsable } from '../redis/server.js'
import { redisError } from '../redis/trouble.js'
import { faultOwnerOf, isLocked } from '../sequelize/fault-owner.js'
import type { Runtime } from './runtime.js'

const CONNECT_MS = 5_000

interface Found extends Problem {
  error: OrderTimersError
}

/**
 * @throws OrderTimersError INVALID_MODEL, INVALID_STATUS, INVALID_OPTION, SHARED_DEADLINE, POSTGRES_UNAVAILABLE, REDIS_UNAVAILABLE,
 * REDIS_UNUSABLE, REDIS_REFUSES; its `problems` are all that were found, and its code is that of the first
 */
export async function checkRuntime(runtime: Runtime): Promise<void> {
  const found: Found[] = []
  const note = (kind: string | undefined, error: unknown): void => {
    const one = asFound(kind, error)
    if (!found.some(({ message }) => message === one.message)) found.push(one) // a rule and its reminders share a table
  }
  for (const kind of runtime.kinds) await checkRule(runtime, kind, note)
  if (found.length === 0) attempt(() => runtime.rules(), note)
  await checkRedis(runtime, note)
  found.sort((one, other) => Number(isWrong(other)) - Number(isWrong(one)))
  const [first, ...others] = found
  if (!first) return
  const problems = found.map(({ error, ...problem }) => problem)
  const lines = found.map(({ message }) => `- ${message.replace(/^orderTimers: /, '')}`)
  const message = others.length === 0 ? first.message : `orderTimers: ${found.length} things are wrong:\n${lines.join('\n')}`
  const cause = others.length === 0 ? first.error.cause : first.error
  const name = errorName(first.code)
  throw new OrderTimersError(name, message, { problems, ...(cause !== undefined && { cause }) })
}

/** Problems that a person must fix. They come before servers that do not answer at the moment. */
function isWrong({ error }: Found): boolean {
  return error.status === 500
}

type Note = (kind: string | undefined, error: unknown) => void

async function checkRule(runtime: Runtime, kind: string, note: Note): Promise<void> {
  const rule = attempt(
    () => runtime.rule(kind),
    (_, error) => note(kind, error),
  )
  for (const one of rule ? [rule, ...rule.reminders] : []) {
    if (!one.row) continue
    const { wrong, partial, unseen } = await one.row.look({ withoutWorker: runtime.running.size === 0 })
    for (const error of [...wrong, ...partial]) note(one.kind, error)
    if (unseen === undefined) continue
    note(one.kind, unseen instanceof OrderTimersError ? unseen : notLookedAt(one.kind, one.row.guard.table.tableText, unseen))
    return
  }
}

function notLookedAt(kind: string, table: string, cause: unknown): OrderTimersError {
  if (faultOwnerOf(cause) === 'internal') return unforeseen(kind, cause)
  const message = isLocked(cause)
    ? `orderTimers: rule "${kind}": ${table} was not checked, since somebody holds a lock on it (${errorText(cause)}); check again`
    : `orderTimers: Postgres did not describe ${table} (${errorText(cause)})`
  return new OrderTimersError('POSTGRES_UNAVAILABLE', message, { cause })
}

async function checkRedis(runtime: Runtime, note: Note): Promise<void> {
  if (!runtime.redis) return
  const { connection } = runtime.redis
  try {
    await connection.connected(CONNECT_MS)
    await assertUsable(connection)
    await connection.refusals.probe?.()
  } catch (error) {
    note(undefined, redisError(error, connection.where))
  }
}

function attempt<T>(work: () => T, note: Note): T | undefined {
  try {
    return work()
  } catch (error) {
    note(undefined, error)
    return undefined
  }
}

function asFound(kind: string | undefined, cause: unknown): Found {
  if (!(cause instanceof OrderTimersError) && kind === undefined) throw cause
  const error = cause instanceof OrderTimersError ? cause : unforeseen(kind as string, cause)
  const { code, message } = error
  return { ...(kind !== undefined && { kind }), code, message, error }
}

/** An error without a code, from a model or this package. It must not hide other problems. */
function unforeseen(kind: string, cause: unknown): OrderTimersError {
  const remedy = 'look at the cause; if it is not in your code, report it with the versions of this package, Sequelize and Node'
  return new OrderTimersError('INVALID_MODEL', `orderTimers: rule "${kind}": it could not be read (${errorText(cause)}); ${remedy}`, {
    cause,
  })
}
