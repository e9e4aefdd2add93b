// What the page reads for a rule whose deadlines are only in Redis: up to 10,000 entries of its due index from an instant on, by commands that a
// web process may send anyway.

import { CAP } from '../rows/capped-orders-sql.js'
import type { Runtime } from '../timers/runtime.js'

const WAIT_MS = 1_000

export interface Indexed {
  id: string
  deadlineMs: number
}

export interface IndexPart {
  /** By deadline, then by id. 10,001 entries mean that there may be more. */
  timers: Indexed[]
  /** Redis's time. */
  nowMs: number
}

/**
 * @param from milliseconds; `due`: all that are due by now; `pending`: all that are not
 * @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error
 */
export async function readIndex({ redis }: Runtime, kind: string, from: number | 'due' | 'pending'): Promise<IndexPart> {
  if (!redis) return { timers: [], nowMs: Date.now() }
  await redis.connection.connected(WAIT_MS)
  const nowMs = await redis.clock.now()
  const [min, max] = from === 'due' ? ['-inf', String(nowMs)] : [from === 'pending' ? `(${nowMs}` : String(from), '+inf']
  return { timers: await redis.index.between(kind, min, max, CAP + 1, WAIT_MS), nowMs }
}
