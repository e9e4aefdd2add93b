// What Redis keeps of orders on which a rule failed: those that are tried again, and dead letters.

import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'
import type { Failure } from '../redis/failed-timers.js'
import type { Runtime } from '../timers/runtime.js'

const PATIENCE_MS = 5_000

/** Of one rule, by the order's id; `problem` where Redis did not say. Both are undefined where Redis is not used. */
export interface KeptFailures {
  failures: ReadonlyMap<string, Failure> | undefined
  problem: string | undefined
}

export async function keptFailures({ redis }: Runtime, kind: string): Promise<KeptFailures> {
  if (!redis) return { failures: undefined, problem: undefined }
  try {
    await redis.connection.connected(PATIENCE_MS)
    return { failures: await redis.failures.all(kind, PATIENCE_MS), problem: undefined }
  } catch (error) {
    const message = errorText(error)
    return { failures: undefined, problem: error instanceof OrderTimersError ? message : `Redis refused the command (${message})` }
  }
}

/** How many of them are dead letters; undefined where that is not known. */
export function countDead(failures: ReadonlyMap<string, Failure> | undefined): number | undefined {
  return failures && [...failures.values()].filter(({ dead }) => dead).length
}
