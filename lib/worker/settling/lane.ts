// One kind's share of the worker: how many batches are settled at once, how many may be claimed ahead so that the database never waits
// for Redis, and whether the kind rests: because the database is in trouble, or because its statements cannot run.

/** How long a kind rests that nobody lets go on: where no sweep runs, its next batch is the look. */
const SUSPENDED_MS = 60_000

export class Lane {
  private claimed = 0
  private settling = 0
  private restUntil = 0
  private troubles = 0
  private suspendedUntil = 0
  private largest = Number.POSITIVE_INFINITY
  private readonly waiting = new Set<() => void>()
  private readonly suspensions = new Set<() => void>()

  constructor(
    private readonly width: number,
    private readonly ahead: number,
  ) {}

  /** Resolves when another batch may be claimed, or when it no longer matters. */
  async free(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const rest = Math.max(this.restUntil, this.suspendedUntil) - performance.now()
      if (rest > 0) await this.pause(rest, signal)
      else if (this.claimed >= this.width + this.ahead) await this.pause(undefined, signal)
      else return
    }
  }

  /** A batch was claimed. @returns true once it may be settled; false when the worker leaves before that, and then it is claimed no more */
  async enter(leaving: AbortSignal): Promise<boolean> {
    this.claimed += 1
    while (this.settling >= this.width && !leaving.aborted) await this.pause(undefined, leaving)
    if (leaving.aborted) {
      this.claimed -= 1
      return false
    }
    this.settling += 1
    return true
  }

  /** A batch is settled. */
  leave(): void {
    this.claimed -= 1
    this.settling -= 1
    this.wake()
  }

  /** The database is in trouble: rest before the next batch, longer each time. @returns milliseconds */
  rest(): number {
    const restMs = Math.min(2_000, 100 * 2 ** this.troubles) * (0.75 + Math.random() / 4)
    this.troubles = Math.min(this.troubles + 1, 10)
    this.restUntil = performance.now() + restMs
    return restMs
  }

  /** Whether the kind's statements cannot run: nothing of it is settled until `resume`, or for a minute. */
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

  /** Resolves as `free`, and also when the kind is suspended. */
  async freeOrSuspended(signal: AbortSignal): Promise<void> {
    const either = new AbortController()
    const stop = () => either.abort()
    signal.addEventListener('abort', stop)
    this.suspensions.add(stop)
    try {
      if (!this.suspended && !signal.aborted) await this.free(either.signal)
    } finally {
      signal.removeEventListener('abort', stop)
      this.suspensions.delete(stop)
    }
  }

  /** The database answered for a batch of so many orders. One as large as may be lets the next be a little larger. */
  recovered(size: number): void {
    this.troubles = 0
    if (size >= this.largest) this.largest = Math.ceil(this.largest * 1.1)
  }

  /** A batch of so many orders took the database too long: half as many next time. */
  halve(size: number): void {
    this.largest = Math.min(this.largest, Math.max(1, Math.floor(size / 2)))
  }

  /** How many orders a batch may have now. */
  batch(size: number): number {
    return Math.min(size, this.largest)
  }

  private wake(): void {
    for (const resume of [...this.waiting]) resume()
  }

  private pause(milliseconds?: number, signal?: AbortSignal): Promise<void> {
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
