// The due index, its claims and its failed timers over a connection of their own, and what the tests of all three need.

import { Keys } from '../../lib/keys.js'
import type { ClaimAnswer } from '../../lib/redis/claim.js'
import { RedisClock } from '../../lib/redis/clock.js'
import { RedisConnection } from '../../lib/redis/connection.js'
import { DueIndex } from '../../lib/redis/due-index.js'
import { FailedTimers, type Failure } from '../../lib/redis/failed-timers.js'
import { Leases } from '../../lib/redis/leases.js'
import type { RedisSource } from '../../lib/redis/single-source.js'
import { parseRedisSource } from '../../lib/redis/source.js'
import { enter } from '../support/opened.js'
import { openRedis, type TestRedis } from '../support/redis.js'

export const KIND = 'order_confirm'
/** Surely past by Redis's clock, although the first reading of it may be some milliseconds off. */
export const PAST_MS = 100
export const FAILURE: Failure = { attempts: 1, error: 'no stock', at: new Date(0).toISOString(), dead: false }
export const WAIT_MS = 1000
export const HOUR_MS = 3_600_000

export class OpenedIndex {
  readonly keys: Keys
  readonly clock: RedisClock
  readonly index: DueIndex
  readonly leases: Leases
  readonly failures: FailedTimers
  private readonly strikeOut: () => void

  private constructor(
    readonly redis: TestRedis,
    readonly connection: RedisConnection,
  ) {
    this.keys = new Keys(redis.prefix)
    this.strikeOut = enter('a connection', async () => connection.close())
    this.clock = new RedisClock(connection)
    this.index = new DueIndex(connection, this.keys)
    this.leases = new Leases(connection, this.keys, this.clock)
    this.failures = new FailedTimers(connection, this.keys)
  }

  static async open(): Promise<OpenedIndex> {
    const redis = await openRedis()
    const opened = new OpenedIndex(redis, new RedisConnection(parseRedisSource(redis.url) as RedisSource, 'test'))
    await opened.connection.connected(WAIT_MS)
    return opened
  }

  arm(id: string, deadlineMs: number): Promise<void> {
    return this.index.arm(KIND, [{ id, deadlineMs }], WAIT_MS)
  }

  armMissing(ids: string[], deadlineMs: number): Promise<number> {
    const deadlines = ids.map(() => deadlineMs)
    return this.index.armMissing(KIND, ids, deadlines)
  }

  claim(token: string, { limit = 1000, leaseMs = 10_000, skewMs = 0 } = {}): Promise<ClaimAnswer> {
    return this.leases.claim(KIND, token, { limit, leaseMs, skewMs })
  }

  scoreOf(id: string): Promise<string | null> {
    return this.redis.client.zscore(this.keys.sets(KIND).due, id)
  }

  /** The ids that have a tombstone as settled. */
  async settledJustNow(): Promise<string[]> {
    const { tombstones } = this.keys.sets(KIND)
    return await this.redis.client.sunion(`${tombstones}:ours:0`, `${tombstones}:ours:1`)
  }

  /** The names of all keys but those of tombstones and of the index's state. */
  async everythingButTombstones(): Promise<string[]> {
    const { due, tombstones } = this.keys.sets(KIND)
    const names = await this.redis.client.keys(`${this.redis.prefix}*`)
    return names.filter((name) => !name.startsWith(`${tombstones}:`) && name !== `${due}:state`)
  }

  async close(): Promise<void> {
    this.connection.close()
    this.strikeOut()
    await this.redis.close()
  }
}
