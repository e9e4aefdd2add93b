// Arms every order that comes due before the sweep after next, whoever wrote its row. Timers that are already armed do not change.

import type { RedisConnection } from '../../redis/connection.js'
import type { DueIndex } from '../../redis/due-index.js'
import type { Keyset } from '../../rows/pending-rows.js'
import type { SweptRule } from '../../rules/rule.js'
import type { Transact } from './transact.js'

/** How many orders are armed in one call of Redis, and how many rows are read at once. */
const BATCH = 1_000
const PAGE = 50 * BATCH

export interface UpcomingTimersDependencies {
  redis: { connection: RedisConnection; index: DueIndex } | undefined
  transact: Transact
  stopping: AbortSignal
  /** From now to the sweep after next, milliseconds. */
  horizonMs: () => number
}

export class UpcomingTimers {
  private readonly armed = new Map<string, number>()

  constructor(private readonly dependencies: UpcomingTimersDependencies) {}

  /** How many this worker has armed since it started. */
  armedSoFar(kind: string): number {
    return this.armed.get(kind) ?? 0
  }

  /**
   * @param away gets the partitions of the due index that do not answer and are skipped: in a cluster one node may be down without affecting the others
   * @returns how many were missing in the due index
   */
  async arm({ kind, row }: SweptRule, away = new Set<number>()): Promise<number> {
    const { redis, transact, stopping } = this.dependencies
    if (!redis) return 0
    const noneIsLeft = () => away.size === redis.index.keys.partitions
    const leaveOutAll = () => {
      for (const partition of redis.index.keys.everyPartition) away.add(partition)
    }
    if (!redis.connection.usable) leaveOutAll()
    if (noneIsLeft()) return 0 // the connection reports it, and the rows have the deadlines
    const horizonMs = this.dependencies.horizonMs()
    let after: Keyset | undefined
    let armed = 0
    do {
      const page = await transact(row, (transaction) => row.deadline.pending.upcoming(transaction, { horizonMs, after, limit: PAGE }))
      for (let first = 0; first < page.ids.length; first += BATCH) {
        if (stopping.aborted) leaveOutAll()
        if (noneIsLeft()) return armed
        const last = first + BATCH
        const missing = await redis.index.armMissing(kind, page.ids.slice(first, last), page.deadlines.slice(first, last), away)
        this.armed.set(kind, this.armedSoFar(kind) + missing)
        armed += missing
      }
      after = page.next
    } while (after)
    return armed
  }
}
