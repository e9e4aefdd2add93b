// The lane of one rule: how many batches are settled at once, how many may be claimed ahead so that the database never waits for Redis, how
// large a batch may be, and whether the rule pauses: after database failures, or because its statements cannot run.

/** How long a rule is suspended if no check resumes it. If no sweep runs, the next batch then shows whether it can run again. */
const SUSPENDED_MS = 60_000

/** A batch that takes so many times as long as a quick one is not followed by a large one. */
const SLOW_FACTOR = 4

const PAUSE = { firstMs: 100, longestMs: 2_000 }

export class Lane {
  private claimed = 0
  private settling = 0
  private pausedUntil = 0
  private consecutiveFailures = 0
  private suspendedUntil = 0
  private restsUntil = 0
  private largestBatch = Number.POSITIVE_INFINITY
  private growth = 1
  private readonly waiting = new Set<() => void>()
  private readonly suspensions = new Set<() => void>()

  /**
   * @param width how many batches are settled at once
   * @param ahead how many more may be claimed
   * @param growing the size of the first batch, how many times as large one may be at most, and how quick a full one must be before a larger one
   */
  constructor(
    private readonly width: number,
    private readonly ahead: number,
    private readonly growing: { first: number; most: number; quickMs: number } = { first: 0, most: 1, quickMs: 0 },
  ) {}

  /** Resolves when another batch may be claimed, or when `signal` is aborted. */
  async free(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { pauseMs } = this
      if (pauseMs > 0) await this.wait(pauseMs, signal)
      else if (this.isFull) await this.wait(undefined, signal)
      else return
    }
  }

  /** Whether another batch may be claimed now. */
  get isFree(): boolean {
    return this.pauseMs <= 0 && !this.isFull
  }

  private get pauseMs(): number {
    return Math.max(this.pausedUntil, this.suspendedUntil, this.restsUntil) - performance.now()
  }

  private get isFull(): boolean {
    return this.claimed >= this.width + this.ahead
  }

  /**
   * A batch was claimed.
   * @returns true once it may be settled; false if the worker leaves before that: then the batch no longer counts as claimed
   */
  async enter(leaving: AbortSignal): Promise<boolean> {
    this.claimed += 1
    while (this.settling >= this.width && !leaving.aborted) await this.wait(undefined, leaving)
    if (leaving.aborted) {
      this.claimed -= 1
      return false
    }
    this.settling += 1
    return true
  }

  /** A batch has been settled, or has failed. */
  leave(): void {
    this.claimed -= 1
    this.settling -= 1
    this.wake()
  }

  /** Pauses before the next batch, longer after each failure in a row. @returns milliseconds */
  pause(): number {
    const pauseMs = Math.min(PAUSE.longestMs, PAUSE.firstMs * 2 ** this.consecutiveFailures) * (0.75 + Math.random() / 4)
    this.consecutiveFailures = Math.min(this.consecutiveFailures + 1, 10)
    this.pausedUntil = performance.now() + pauseMs
    return pauseMs
  }

  /** Whether the rule's statements cannot run: nothing of it is settled until `resume`, or for a minute. */
  get suspended(): boolean {
    return performance.now() < this.suspendedUntil
  }

  suspend(): void {
    this.suspendedUntil = performance.now() + SUSPENDED_MS
    for (const stop of [...this.suspensions]) stop()
  }

  resume(): void {
    if (this.suspendedUntil === 0) return
    this.suspendedUntil = 0
    this.wake()
  }

  /** The rule is held: no claim for this time, or until `endRest`. */
  rest(milliseconds: number): void {
    this.restsUntil = performance.now() + milliseconds
    for (const stop of [...this.suspensions]) stop()
  }

  get rests(): boolean {
    return performance.now() < this.restsUntil
  }

  endRest(): void {
    if (this.restsUntil === 0) return
    this.restsUntil = 0
    this.wake()
  }

  /** As `free`; resolves also when the rule is suspended or rests. */
  async freeOrSuspended(signal: AbortSignal): Promise<void> {
    const either = new AbortController()
    const stop = () => either.abort()
    signal.addEventListener('abort', stop)
    this.suspensions.add(stop)
    try {
      if (!this.suspended && !this.rests && !signal.aborted) await this.free(either.signal)
    } finally {
      signal.removeEventListener('abort', stop)
      this.suspensions.delete(stop)
    }
  }

  /** The database settled a batch of this size. If it had the maximum size, the next may be a little larger. */
  recovered(size: number, tookMs: number): void {
    const { first, most, quickMs } = this.growing
    this.consecutiveFailures = 0
    if (size >= this.largestBatch) this.largestBatch = Math.ceil(this.largestBatch * 1.1)
    if (tookMs <= quickMs && size >= this.batch(first)) this.growth = Math.min(most, 2 * this.growth)
    else if (tookMs > SLOW_FACTOR * quickMs) this.growth = 1
  }

  /** A batch failed: the next has the size that is asked for. */
  shrink(): void {
    this.growth = 1
  }

  /** The database took too long for a batch of this size: the next is at most half as large. */
  halve(size: number): void {
    this.largestBatch = Math.min(this.largestBatch, Math.max(1, Math.floor(size / 2)))
  }

  /** The size of the next batch, at most `size`, or more after quick ones. */
  batch(size: number): number {
    return Math.min(Math.floor(size * this.growth), this.largestBatch)
  }

  private wake(): void {
    for (const resume of [...this.waiting]) resume()
  }

  private wait(milliseconds?: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', resume)
        this.waiting.delete(resume)
        resolve()
      }
      const timer = milliseconds === undefined ? undefined : setTimeout(resume, milliseconds)
      signal?.addEventListener('abort', resume)
      this.waiting.add(resume)
    })
  }
}
