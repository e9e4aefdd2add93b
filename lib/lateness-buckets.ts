// How late orders are, as counts in fixed buckets: a worker keeps them in memory and adds them to Redis.

/** The upper bounds of the buckets, milliseconds. One more bucket counts later orders. */
export const LATENESS_BOUNDS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000,
] as const

export const BUCKETS = LATENESS_BOUNDS_MS.length + 1

/** How many orders were late by how much. */
export interface LatenessSummary {
  count: number
  /** Half of them were late by less, milliseconds; null if there were none. Exact to the bucket, and interpolated in it. */
  p50Ms: number | null
  p99Ms: number | null
}

export function bucketOf(latenessMs: number): number {
  let bucket = 0
  while (bucket < LATENESS_BOUNDS_MS.length && latenessMs > (LATENESS_BOUNDS_MS[bucket] as number)) bucket += 1
  return bucket
}

/** A bucket's name in Redis: its upper bound, so that versions with other bounds understand each other. */
export function nameOfBucket(bucket: number): string {
  return String(LATENESS_BOUNDS_MS[bucket] ?? 'more')
}

/** @returns undefined if this version has no such bucket */
export function bucketNamed(name: string): number | undefined {
  if (name === 'more') return LATENESS_BOUNDS_MS.length
  const bucket = LATENESS_BOUNDS_MS.indexOf(Number(name) as (typeof LATENESS_BOUNDS_MS)[number])
  return bucket < 0 ? undefined : bucket
}

/** @param counts by bucket */
export function summaryOf(counts: ArrayLike<number>): LatenessSummary {
  let count = 0
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) count += counts[bucket] ?? 0
  return { count, p50Ms: quantile(counts, count, 0.5), p99Ms: quantile(counts, count, 0.99) }
}

function quantile(counts: ArrayLike<number>, count: number, share: number): number | null {
  if (count === 0) return null
  const rank = share * count
  let below = 0
  for (let bucket = 0; bucket < LATENESS_BOUNDS_MS.length; bucket += 1) {
    const here = counts[bucket] ?? 0
    if (here > 0 && below + here >= rank) {
      const [low, high] = [LATENESS_BOUNDS_MS[bucket - 1] ?? 0, LATENESS_BOUNDS_MS[bucket] as number]
      return low + ((high - low) * (rank - below)) / here
    }
    below += here
  }
  return LATENESS_BOUNDS_MS.at(-1) as number
}
