// How late this worker's orders were, by rule and path: for the last minute, hour and day, and the counts that Redis does not have yet.
// It counts orders that came due since the path's last check. Earlier ones had been postponed (a retry, a locked row), got a deadline in
// the past (`backfill`, `resume`), or were waiting for a worker: their lateness does not show how punctual workers are.

import { BUCKETS, bucketOf, LATENESS_BOUNDS_MS, type LatenessSummary, nameOfBucket, summaryOf } from '../../lateness-buckets.js'
import { Distributions } from '../../meters.js'
import type { Moment } from '../../moment.js'
import type { SettledOrder } from '../../rows/settlement.js'
import type { Path } from '../events.js'

export const PATHS: readonly Path[] = ['alarm', 'event', 'sweep']

/** How late the orders of a rule were, in total and by path. */
export interface LatenessByPath extends LatenessSummary {
  paths: Record<Path, LatenessSummary>
}

/** The last minute, hour and day, each limited to the time that the worker has run. */
export interface LatenessOfRule {
  minute: LatenessByPath
  hour: LatenessByPath
  day: LatenessByPath
}

export class Lateness {
  private readonly counts: ReadonlyMap<string, Record<Path, PathCounts>>
  private readonly batch = new Uint32Array(BUCKETS)

  private readonly totals: Distributions

  /**
   * @param now milliseconds, from any beginning
   * @param totals gets all counts, by `kind path`
   */
  constructor(kinds: Iterable<string>, { now = () => performance.now(), totals = new Distributions(LATENESS_BOUNDS_MS) } = {}) {
    this.totals = totals
    const paths = () => ({ alarm: new PathCounts(now), event: new PathCounts(now), sweep: new PathCounts(now) })
    this.counts = new Map([...kinds].map((kind) => [kind, paths()]))
  }

  /** @param lookedAt the path's last check before it brought these orders */
  note(kind: string, via: Path, orders: readonly SettledOrder[], lookedAt: Moment): void {
    const mostMs = lookedAt.passedMs()
    let [any, sumMs] = [false, 0]
    this.batch.fill(0)
    for (const { latenessMs } of orders) {
      if (latenessMs === null || latenessMs > mostMs) continue
      const bucket = bucketOf(latenessMs)
      this.batch[bucket] = (this.batch[bucket] as number) + 1
      sumMs += Math.max(0, latenessMs)
      any = true
    }
    if (!any) return
    this.counts.get(kind)?.[via].add(this.batch)
    this.totals.of(`${kind} ${via}`).addAll(this.batch, sumMs)
  }

  /** By rule and reminder. */
  ofRules(): Record<string, LatenessOfRule> {
    return Object.fromEntries(
      [...this.counts].map(([kind, counts]) => {
        const span = (name: Span) => byPath((path) => counts[path].sum(name))
        return [kind, { minute: span('minute'), hour: span('hour'), day: span('day') }]
      }),
    )
  }

  /** The counts since the last call, by `kind path bucket`. */
  takeCounts(): ReadonlyMap<string, number> {
    const taken = new Map<string, number>()
    for (const [kind, paths] of this.counts)
      for (const path of PATHS) {
        const { untold } = paths[path]
        for (let bucket = 0; bucket < BUCKETS; bucket += 1)
          if ((untold[bucket] as number) > 0) taken.set(latenessField(kind, path, bucket), untold[bucket] as number)
        untold.fill(0)
      }
    return taken
  }

  /** Takes back counts that Redis did not accept. */
  putBack(taken: ReadonlyMap<string, number>): void {
    for (const [kind, paths] of this.counts)
      for (const path of PATHS)
        for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
          const { untold } = paths[path]
          untold[bucket] = (untold[bucket] as number) + (taken.get(latenessField(kind, path, bucket)) ?? 0)
        }
  }
}

/** @param countsOf by bucket, of one path */
export function byPath(countsOf: (path: Path) => ArrayLike<number>): LatenessByPath {
  const all = new Array<number>(BUCKETS).fill(0)
  const summaries = PATHS.map((path) => {
    const counts = countsOf(path)
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) all[bucket] = (all[bucket] as number) + (counts[bucket] ?? 0)
    return [path, summaryOf(counts)] as const
  })
  return { ...summaryOf(all), paths: Object.fromEntries(summaries) as Record<Path, LatenessSummary> }
}

function latenessField(kind: string, path: Path, bucket: number): string {
  return `${kind} ${path} ${nameOfBucket(bucket)}`
}

type Span = 'minute' | 'hour' | 'day'

class PathCounts {
  readonly untold = new Uint32Array(BUCKETS)
  private readonly rings: Record<Span, Ring> = { minute: new Ring(12, 5_000), hour: new Ring(60, 60_000), day: new Ring(24, 3_600_000) }

  constructor(private readonly clock: () => number) {}

  add(batch: Uint32Array): void {
    const now = this.clock()
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const count = batch[bucket] as number
      if (count === 0) continue
      this.untold[bucket] = (this.untold[bucket] as number) + count
      for (const ring of [this.rings.minute, this.rings.hour, this.rings.day]) ring.add(now, bucket, count)
    }
  }

  sum(span: Span): Uint32Array {
    return this.rings[span].sum(this.clock())
  }
}

/** Counts by bucket in a ring of time slots. */
class Ring {
  private readonly counts: Uint32Array
  private slot = 0

  constructor(
    private readonly slots: number,
    private readonly slotMs: number,
  ) {
    this.counts = new Uint32Array(slots * BUCKETS)
  }

  add(now: number, bucket: number, count: number): void {
    this.advance(now)
    const at = (this.slot % this.slots) * BUCKETS + bucket
    this.counts[at] = (this.counts[at] as number) + count
  }

  sum(now: number): Uint32Array {
    this.advance(now)
    const sum = new Uint32Array(BUCKETS)
    for (let at = 0; at < this.counts.length; at += 1) sum[at % BUCKETS] = (sum[at % BUCKETS] as number) + (this.counts[at] as number)
    return sum
  }

  private advance(now: number): void {
    const slot = Math.floor(now / this.slotMs)
    const passed = Math.min(slot - this.slot, this.slots)
    for (let i = 1; i <= passed; i += 1) {
      const first = ((slot - passed + i) % this.slots) * BUCKETS
      this.counts.fill(0, first, first + BUCKETS)
    }
    this.slot = Math.max(this.slot, slot)
  }
}
