// One kind's share of the worker: how many batches are in hand, and whether it rests because the database is in trouble.

export class Lane {
  private inHand = 0
  private restUntil = 0
  private troubles = 0
  private readonly waiting: (() => void)[] = []

  constructor(private readonly width: number) {}

  get busy(): number {
    return this.inHand
  }

  /** Resolves when a batch may be taken in hand. */
  async free(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const rest = this.restUntil - performance.now()
      if (rest > 0) await this.pause(rest, signal)
      else if (this.inHand >= this.width) await this.pause(undefined, signal)
      else return
    }
  }

  enter(): void {
    this.inHand += 1
  }

  leave(): void {
    this.inHand -= 1
    this.wake()
  }

  /** The database is in trouble: rest before the next batch, longer each time. @returns milliseconds */
  rest(): number {
    const restMs = Math.min(2_000, 100 * 2 ** this.troubles) * (0.75 + Math.random() / 4)
    this.troubles = Math.min(this.troubles + 1, 10)
    this.restUntil = performance.now() + restMs
    return restMs
  }

  /** The database answered. */
  recovered(): void {
    this.troubles = 0
  }

  wake(): void {
    for (const resume of this.waiting.splice(0)) resume()
  }

  private pause(milliseconds: number | undefined, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = milliseconds === undefined ? undefined : setTimeout(done, milliseconds)
      function done() {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done)
      this.waiting.push(done)
    })
  }
}
