// Limits the calls of a rule's `ask` in this worker: how many run at once, how many orders each has, and the pause after a failed call. After a
// failure one order is a probe; once it is answered, calls have half the former size and grow again.

/** How long orders that are asked about again wait for those that never were: they would wait for ever where new ones come due all the time. */
const LONGEST_TURN_MS = 5_000

const PAUSE = { firstMs: 1_000, longestMs: 15 * 60_000 }

export class Admission {
  /** When the calls began to fail; undefined while they succeed. */
  failingSince: Date | undefined
  private inside = 0
  private failures = 0
  private pausedUntil = 0
  private largest: number
  private readonly waiting = new Set<() => void>()

  constructor(
    private readonly concurrency: number,
    private readonly batch: number,
    private readonly longestTurnMs = LONGEST_TURN_MS,
  ) {
    this.largest = batch
  }

  /** Whether it pauses because the last call failed. */
  get paused(): boolean {
    return performance.now() < this.pausedUntil
  }

  /** The maximum number of orders in the next call. */
  get size(): number {
    return this.failingSince ? 1 : this.largest
  }

  /** Resolves when orders for another call may be claimed, or when `signal` is aborted. */
  async free(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (this.paused || this.inside >= this.width)) await this.wait(signal, this.pausedUntil - performance.now())
  }

  /** As `free`, but also resolves during a pause. @returns whether orders may be claimed */
  async admits(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted && !this.paused && this.inside >= this.width) await this.wait(signal)
    return !signal.aborted && !this.paused
  }

  /** As `admits`, but waits until no call is running, for a while: orders that were never asked about go first. */
  async idle(signal: AbortSignal): Promise<boolean> {
    const endsAt = performance.now() + this.longestTurnMs
    const leftMs = () => endsAt - performance.now()
    while (!signal.aborted && !this.paused && this.inside > 0 && leftMs() > 0) await this.wait(signal, leftMs())
    return !signal.aborted && !this.paused
  }

  /** Orders were claimed. Resolves once a call may begin. @returns whether it may; if not, do not ask about them now */
  async enter(signal: AbortSignal): Promise<boolean> {
    // Checked again, and counted in the same turn: all that wait are woken at once.
    while (await this.admits(signal)) {
      if (this.inside < this.width) {
        this.inside += 1
        return true
      }
    }
    return false
  }

  leave(): void {
    this.inside -= 1
    this.wake()
  }

  /** A call with `size` orders was answered. @returns whether the previous one had failed */
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

  /** A call failed as a whole. @param leastMs the payment service's `retryAfter` @returns the pause in milliseconds */
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
