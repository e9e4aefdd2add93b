// What the page lists for a rule whose deadlines are only in Redis: up to 10,000 entries of its due index from an instant on, by commands that a
// web process may send anyway.

import { CAP } from '../rows/cap.js'
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
 * @param from milliseconds; `pending`: all that are not due by now
 * @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error
 */
export async function readIndex({ redis }: Runtime, kind: string, from: number | 'pending'): Promise<IndexPart> {
  if (!redis) return { timers: [], nowMs: Date.now() }
  await redis.connection.connected(WAIT_MS)
  const nowMs = await redis.clock.now()
  const min = from === 'pending' ? `(${nowMs}` : String(from)
  return { timers: await redis.index.between(kind, min, '+inf', CAP + 1, WAIT_MS), nowMs }
}
