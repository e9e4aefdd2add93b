// What has happened in this process since its start, as numbers that never decrease, for metrics. They are updated once for each
// batch, never for each order.

import { LATENESS_BOUNDS_MS } from './lateness-buckets.js'

const SETTLE_BOUNDS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000]
const BATCH_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000]
const SWEEP_BOUNDS_MS = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000]

/** The result of arming a timer. */
export type Armed =
  /** Redis accepted it. */
  | 'armed'
  /** Redis did not accept it, and it is kept until Redis returns. */
  | 'kept'
  /** Too many are already kept: the sweep settles the order. */
  | 'dropped'

/** Counts by labels: words, separated by one blank. */
export class Tally {
  private readonly counts = new Map<string, number>()

  add(labels: string, count = 1): void {
    this.counts.set(labels, (this.counts.get(labels) ?? 0) + count)
  }

  /** 0 where nothing was counted. */
  of(labels: string): number {
    return this.counts.get(labels) ?? 0
  }

  [Symbol.iterator](): Iterator<[labels: string, count: number]> {
    return this.counts[Symbol.iterator]()
  }
}

/** How many values were at most as large as each bound, and their sum. */
export class Distribution {
  /** By bucket; the last one counts values above all bounds. */
  readonly counts: Float64Array
  sum = 0

  constructor(readonly bounds: readonly number[]) {
    this.counts = new Float64Array(bounds.length + 1)
  }

  add(value: number): void {
    let bucket = 0
    while (bucket < this.bounds.length && value > (this.bounds[bucket] as number)) bucket += 1
    this.counts[bucket] = (this.counts[bucket] as number) + 1
    this.sum += value
  }

  /** @param counts by bucket of the same bounds */
  addAll(counts: ArrayLike<number>, sum: number): void {
    for (let bucket = 0; bucket < this.counts.length; bucket += 1)
      this.counts[bucket] = (this.counts[bucket] as number) + (counts[bucket] ?? 0)
    this.sum += sum
  }
}

/** Distributions by labels. */
export class Distributions {
  private readonly byLabels = new Map<string, Distribution>()

  constructor(readonly bounds: readonly number[]) {}

  of(labels: string): Distribution {
    const one = this.byLabels.get(labels) ?? new Distribution(this.bounds)
    this.byLabels.set(labels, one)
    return one
  }

  [Symbol.iterator](): Iterator<[labels: string, distribution: Distribution]> {
    return this.byLabels[Symbol.iterator]()
  }
}

export class Meters {
  /** Orders settled, by `kind path`. */
  readonly settled = new Tally()
  /** Failed attempts, by kind, including the last one of a dead letter. */
  readonly failed = new Tally()
  /** Orders that became dead letters, by kind. */
  readonly dead = new Tally()
  /** Timers that calls, hooks and settlements armed, by `kind result` (`Armed`). Not those that the sweep arms. */
  readonly armed = new Tally()
  /** Actions of operators, by action. */
  readonly actions = new Tally()
  /** How many orders of each rule have no deadline, as the sweep last counted them; up to 1,000. */
  readonly undated = new Map<string, number>()
  /** How often the subscription to expiry events was lost or renewed. */
  subscriptionResets = 0
  /** How late orders were, by `kind path`, milliseconds: without retries, locked rows, deadlines in the past and backlogs. */
  readonly lateness = new Distributions(LATENESS_BOUNDS_MS)
  /** How long a batch took to be settled, by kind, milliseconds. */
  readonly settling = new Distributions(SETTLE_BOUNDS_MS)
  /** How many orders a batch had, by kind. */
  readonly batches = new Distributions(BATCH_BOUNDS)
  /** How long sweeps took, milliseconds. */
  readonly sweeps = new Distribution(SWEEP_BOUNDS_MS)
}
