// The screen "Late": how late orders were in the last minutes, by rule and path, from the counts that workers write to
// Redis with their beats.

import { BUCKETS, LATENESS_BOUNDS_MS, type LatenessSummary, summaryOf } from '../../lateness-buckets.js'
import { LatenessReader } from '../../redis/lateness-counts.js'
import type { Runtime } from '../../timers/runtime.js'
import { Refusal } from '../../web/refusal.js'
import { Remembered } from '../remembered.js'

const WAIT_MS = 2_000

/** The possible ranges, in minutes. */
const MINUTES = [5, 60, 1_440]

export interface LatePath extends LatenessSummary {
  path: string
  /** How many orders are in each bucket. */
  buckets: number[]
}

export interface Late {
  minutes: number
  /** The upper bounds of the buckets, milliseconds; one more bucket has what is later. */
  bounds: readonly number[]
  kinds: { kind: string; all: LatenessSummary; paths: LatePath[] }[]
}

export class LateScreen {
  private readonly read = new Remembered<Late>({ freshMs: 5_000, maxAgeMs: 5_000 })

  constructor(private readonly runtime: Runtime) {}

  /** @throws Refusal with `redis: false`; OrderTimersError REDIS_UNAVAILABLE */
  async of(minutes: number): Promise<Late> {
    const wished = MINUTES.includes(minutes) ? minutes : 60
    return (await this.read.get(String(wished), () => this.count(wished))).value
  }

  private async count(minutes: number): Promise<Late> {
    const { redis, keys, kinds } = this.runtime
    if (!redis)
      throw new Refusal(
        503,
        'NO_REDIS',
        'how late orders were is kept in Redis, and Redis is not used here; worker.health().lateness has what one worker knows',
      )
    const counts = await new LatenessReader(redis.connection, keys).read(minutes, WAIT_MS)
    return {
      minutes,
      bounds: LATENESS_BOUNDS_MS,
      kinds: [...new Set([...kinds, ...counts.keys()])].map((kind) => {
        const paths = [...(counts.get(kind) ?? [])].map(([path, buckets]) => ({ path, ...summaryOf(buckets), buckets: [...buckets] }))
        const all = new Uint32Array(BUCKETS)
        for (const { buckets } of paths) for (const [i, count] of buckets.entries()) all[i] = (all[i] ?? 0) + count
        return { kind, all: summaryOf(all), paths: paths.sort((one, other) => other.count - one.count) }
      }),
    }
  }
}
