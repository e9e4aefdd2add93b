// Partitions of a cluster's index that nobody serves although each node answers: their slot has no owner, its move was never finished, or the cluster
// counts itself as down. No connection to a node shows that, but two pulses of a partition in a row that fail do.

import { aboutOf } from '../../faults.js'
import type { Keys } from '../../keys.js'
import type { RedisConnection } from '../../redis/connection.js'
import { servedBy } from '../../redis/primaries.js'
import { explain } from '../../redis/trouble.js'
import type { Faults } from '../faults.js'

const CODE = 'REDIS_UNAVAILABLE'

export class UnservedPartitions {
  /** How many pulses in a row failed. */
  private readonly failed = new Map<number, number>()
  private readonly unserved = new Set<number>()

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
    private readonly faults: Faults,
  ) {}

  get any(): boolean {
    return this.unserved.size > 0
  }

  noteFailed(partition: number, error: unknown): void {
    const { connection, faults } = this
    const { code, why, remedy } = explain(error, connection.where)
    if (code === 'REDIS_REFUSES' || this.isNodeAway(partition)) {
      this.noteAnswered(partition) // reported as that
      return
    }
    const times = (this.failed.get(partition) ?? 0) + 1
    this.failed.set(partition, times)
    if (times < 2) return
    this.unserved.add(partition)
    const which = [...this.unserved].sort((one, other) => one - other).join(', ')
    const message = `Redis at ${connection.where} does not serve the index in partition ${which} (${why}); the sweep over Postgres carries on`
    faults.raise(CODE, { message, remedy, error })
  }

  noteAnswered(partition: number): void {
    this.failed.delete(partition)
    if (this.unserved.delete(partition) && !this.any && this.connection.answering) this.faults.clear(CODE)
  }

  private isNodeAway(partition: number): boolean {
    const node = servedBy(this.connection.client, this.keys.sets('', partition).due)
    return node !== undefined && this.faults.has(CODE, aboutOf({ node }))
  }
}
