// The orders on which a rule failed, as Redis keeps them: those that wait for their next attempt, and dead letters.

import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'
import type { FailedIds } from '../redis/failed-timers.js'
import type { Runtime } from '../timers/runtime.js'

const WAIT_MS = 5_000

/** The orders on which one rule failed, or why Redis did not answer. Both are undefined if Redis is not used. */
export interface KeptFailures {
  failed: FailedIds | undefined
  problem: string | undefined
}

/** Never rejects. */
export async function keptFailures({ redis }: Runtime, kind: string): Promise<KeptFailures> {
  if (!redis) return { failed: undefined, problem: undefined }
  try {
    await redis.connection.connected(WAIT_MS)
    return { failed: await redis.failures.ids(kind, WAIT_MS), problem: undefined }
  } catch (error) {
    const message = errorText(error)
    return { failed: undefined, problem: error instanceof OrderTimersError ? message : `Redis refused the command (${message})` }
  }
}
