// How long an order waits for its next attempt: after a failure, exponential backoff with jitter; if its row is locked, doubling each time.

const RETRY = { firstMs: 1_000, longestMs: 15 * 60_000 }
const LOCKED = { firstMs: 250, longestMs: 30_000 }

/** How many orders' waits are remembered. */
const MOST_REMEMBERED = 10_000

/** Milliseconds until the next attempt. @param attempts how many have failed */
export function retryDelayMs(attempts: number): number {
  return Math.round(doubled(RETRY, attempts - 1) * (0.5 + Math.random() / 2))
}

/** The wait times of orders that are held or whose rows are locked. */
export class LockWaits {
  private readonly times = new Map<string, number>()

  /** Milliseconds until the order's next attempt. */
  next(kind: string, id: string): number {
    const name = `${kind}:${id}`
    const times = this.times.get(name) ?? 0
    if (this.times.size >= MOST_REMEMBERED) this.times.clear()
    this.times.set(name, times + 1)
    return doubled(LOCKED, times)
  }

  forget(kind: string, orders: readonly { id: string }[]): void {
    if (this.times.size > 0) for (const { id } of orders) this.times.delete(`${kind}:${id}`)
  }
}

function doubled({ firstMs, longestMs }: { firstMs: number; longestMs: number }, times: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(times, 30))
}
