// How many calls of a rule's `ask` run at once in this worker, how many orders one is about, and how long nothing is asked after a call failed. After a
// failure one order probes; once it is answered, calls are half as large as before and grow again.

const PAUSE = { firstMs: 1_000, longestMs: 15 * 60_000 }

export class Admission {
  /** Since when every call has failed; undefined while they succeed. */
  failingSince: Date | undefined
  private inside = 0
  private failures = 0
  private pausedUntil = 0
  private largest: number
  private readonly waiting = new Set<() => void>()

  constructor(
    private readonly concurrency: number,
    private readonly batch: number,
  ) {
    this.largest = batch
  }

  /** Whether nothing is asked for a while, since the last call failed. */
  get paused(): boolean {
    return performance.now() < this.pausedUntil
  }

  /** How many orders the next call may be about. */
  get size(): number {
    return this.failingSince ? 1 : this.largest
  }

  /** Resolves when orders for another call may be claimed, or when `signal` is aborted. */
  async free(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (this.paused || this.inside >= this.width)) await this.wait(signal, this.pausedUntil - performance.now())
  }

  /** As `free`, but resolves also where nothing is asked for a while. @returns whether orders may be claimed */
  async admits(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted && !this.paused && this.inside >= this.width) await this.wait(signal)
    return !signal.aborted && !this.paused
  }

  /** As `admits`, but waits until no call is under way: what was asked about before lets what was not go first. */
  async idle(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted && !this.paused && this.inside > 0) await this.wait(signal)
    return !signal.aborted && !this.paused
  }

  /** Orders were claimed. Resolves once a call may begin. @returns whether it may; if not, they are not to be asked about now */
  async enter(signal: AbortSignal): Promise<boolean> {
    if (!(await this.admits(signal))) return false
    this.inside += 1
    return true
  }

  leave(): void {
    this.inside -= 1
    this.wake()
  }

  /** A call about so many orders was answered. @returns whether the one before had failed */
  succeeded(size: number): boolean {
    const hadFailed = this.failingSince !== undefined
    if (hadFailed) this.largest = Math.max(1, Math.floor(this.largest / 2))
    else if (size >= this.largest) this.largest = Math.min(this.batch, Math.ceil(this.largest * 1.5))
    this.failingSince = undefined
    this.failures = 0
    this.pausedUntil = 0
    this.wake()
    return hadFailed
  }

  /** A call failed as a whole. @param leastMs as the payment service asked for @returns milliseconds for which nothing is asked */
  failed(leastMs = 0): number {
    this.failingSince ??= new Date()
    const pauseMs = Math.max(
      leastMs,
      Math.min(PAUSE.longestMs, PAUSE.firstMs * 2 ** Math.min(this.failures, 20)) * (0.75 + Math.random() / 4),
    )
    this.failures += 1
    this.pausedUntil = performance.now() + pauseMs
    this.wake()
    return pauseMs
  }

  private get width(): number {
    return this.failingSince ? 1 : this.concurrency
  }

  private wake(): void {
    for (const resume of [...this.waiting]) resume()
  }

  private wait(signal: AbortSignal, milliseconds = 0): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', resume)
        this.waiting.delete(resume)
        resolve()
      }
      const timer = milliseconds > 0 ? setTimeout(resume, Math.ceil(milliseconds)) : undefined
      signal.addEventListener('abort', resume)
      this.waiting.add(resume)
    })
  }
}
