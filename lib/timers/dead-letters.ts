// The calls for dead letters, which are kept in Redis.

import { REQUEST_WAIT_MS } from '../redis/arming.js'
import type { Failure } from '../redis/failed-timers.js'
import type { DeadLetter } from '../types.js'
import type { Runtime } from './runtime.js'

/** Follows "and", where these timers have no Redis. */
export const NO_LETTERS = 'then only the worker that failed knows its dead letters, and logs them; give "redis" to list and retry them'

export async function deadLetters(runtime: Runtime, kind: string | undefined): Promise<DeadLetter[]> {
  const rules = kind === undefined ? runtime.rules() : [runtime.rule(kind)]
  const { redis } = runtime
  if (!redis) return []
  const letters = await Promise.all(
    rules.map(async ({ kind }) => {
      const failures = await redis.failures.dead(kind, REQUEST_WAIT_MS)
      return [...failures].map(([id, failure]) => deadLetter(kind, id, failure))
    }),
  )
  return letters.flat().sort((a, b) => a.at.getTime() - b.at.getTime())
}

export function deadLetter(kind: string, id: string, { attempts, error, at, first = { error, at } }: Failure): DeadLetter {
  return { kind, id, error, attempts, at: new Date(at), firstError: first.error, firstAt: new Date(first.at) }
}
