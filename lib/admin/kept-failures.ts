// What Redis keeps about orders on which a rule failed: those that wait for their next attempt, and dead letters.

import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'
import type { Failure } from '../redis/failed-timers.js'
import type { Runtime } from '../timers/runtime.js'

const WAIT_MS = 5_000

/** One rule's failures, by the order's id, or why Redis did not say. Both are undefined if Redis is not used. */
export interface KeptFailures {
  failures: ReadonlyMap<string, Failure> | undefined
  problem: string | undefined
}

/** Never rejects. */
export async function keptFailures({ redis }: Runtime, kind: string): Promise<KeptFailures> {
  if (!redis) return { failures: undefined, problem: undefined }
  try {
    await redis.connection.connected(WAIT_MS)
    return { failures: await redis.failures.all(kind, WAIT_MS), problem: undefined }
  } catch (error) {
    const message = errorText(error)
    return { failures: undefined, problem: error instanceof OrderTimersError ? message : `Redis refused the command (${message})` }
  }
}

/** How many of them are dead letters; undefined if the failures are not known. */
export function countDead(failures: ReadonlyMap<string, Failure> | undefined): number | undefined {
  return failures && [...failures.values()].filter(({ dead }) => dead).length
}
