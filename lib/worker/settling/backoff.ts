// How long an order waits: after a failed attempt, exponentially with jitter; while somebody has its row locked, doubling.

const RETRY = { firstMs: 1_000, longestMs: 15 * 60_000 }
const LOCKED = { firstMs: 250, longestMs: 30_000 }

/** How many locked orders' waiting times are remembered. */
const MOST_REMEMBERED = 10_000

/** Milliseconds until the next attempt, after so many failed ones. */
export function retryDelayMs(attempts: number): number {
  return Math.round(doubling(RETRY, attempts - 1) * (0.5 + Math.random() / 2))
}

export class LockWaits {
  private readonly times = new Map<string, number>()

  /** Milliseconds until the order is looked at again. */
  next(kind: string, id: string): number {
    const name = `${kind}:${id}`
    const times = this.times.get(name) ?? 0
    if (this.times.size >= MOST_REMEMBERED) this.times.clear()
    this.times.set(name, times + 1)
    return doubling(LOCKED, times)
  }

  forget(kind: string, orders: readonly { id: string }[]): void {
    if (this.times.size > 0) for (const { id } of orders) this.times.delete(`${kind}:${id}`)
  }
}

function doubling({ firstMs, longestMs }: { firstMs: number; longestMs: number }, times: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(times, 30))
}
