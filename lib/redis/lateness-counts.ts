// The counts of how late orders were. Workers add to them with their heartbeats: a hash for each minute of Redis's clock, kept for 25 hours. Invalid
// counts are left out.

import type { Keys } from '../keys.js'
import { BUCKETS, bucketNamed } from '../lateness-buckets.js'
import { timeAt } from './clock.js'
import type { RedisConnection } from './connection.js'
import { flatHash } from './hash.js'

/** How many minutes are read at once. */
const PORTION = 120

/** Larger counts do not fit into a sum. */
const MOST = 0xffff_ffff

/** By kind, path and bucket. */
export type LatenessCounts = Map<string, Map<string, Uint32Array>>

export class LatenessReader {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
  ) {}

  /**
   * @param minutes how many of the last, at most 1,500; the present one, which is not over yet, is read too
   * @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error
   */
  async read(minutes: number, waitMs: number): Promise<LatenessCounts> {
    const now = await this.connection.run(waitMs, (client) => timeAt(client, this.keys.inCluster ? this.keys.layout : undefined))
    const present = Math.floor(now / 60_000)
    const counts: LatenessCounts = new Map()
    for (let first = 0; first <= minutes; first += PORTION) {
      const names = Array.from({ length: Math.min(PORTION, minutes + 1 - first) }, (_, i) => this.keys.lateness(present - first - i))
      const hashes = await this.connection.run(waitMs, (client) => Promise.all(names.map((name) => flatHash(client, name))))
      for (const hash of hashes)
        for (let i = 0; i < hash.length; i += 2) if (isCount(hash[i + 1] as string)) add(counts, hash[i] as string, Number(hash[i + 1]))
    }
    return counts
  }
}

/** @param field kind, path and bucket; buckets that this version does not have are left out */
function add(counts: LatenessCounts, field: string, count: number): void {
  const [kind = '', path = '', name = ''] = field.split(' ')
  const bucket = bucketNamed(name)
  if (bucket === undefined) return
  const paths = counts.get(kind) ?? new Map<string, Uint32Array>()
  counts.set(kind, paths)
  const buckets = paths.get(path) ?? new Uint32Array(BUCKETS)
  paths.set(path, buckets)
  buckets[bucket] = Math.min(MOST, (buckets[bucket] as number) + count)
}

function isCount(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) <= MOST
}
