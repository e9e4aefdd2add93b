// Touches keys when they expire. Redis publishes a key's expiry when it finds the key, which may take minutes; a command on the key makes
// it do so at once.

import type { RedisConnection } from '../../redis/connection.js'
import { Rest } from './rest.js'

/** The maximum number of scheduled keys. Others wait for a later pass of the scan, or for Redis. */
const MOST_KEYS = 200_000

/** Keys that expire within the same few milliseconds are touched together. */
const TOGETHER_MS = 5

/** How long after its expiry a key is touched, since Redis rounds. A key that still exists then is touched once more. */
const AFTER_MS = 2

const BATCH = 1_000

export class Touches {
  /** By key: the time of the touch, by the monotonic clock in steps of TOGETHER_MS. */
  private readonly steps = new Map<string, number>()
  private readonly pending = new Map<number, { keys: string[]; timer: NodeJS.Timeout }>()
  private readonly rest = new Rest()

  constructor(private readonly connection: RedisConnection) {}

  /** @param leftMs until the key expires */
  schedule(key: string, leftMs: number): void {
    const step = Math.ceil((performance.now() + leftMs + AFTER_MS) / TOGETHER_MS)
    if (this.steps.get(key) === step || (this.steps.size >= MOST_KEYS && !this.steps.has(key))) return
    this.steps.set(key, step)
    const together = this.pending.get(step)
    if (together) {
      together.keys.push(key)
      return
    }
    const timer = setTimeout(() => void this.touch(step), step * TOGETHER_MS - performance.now())
    this.pending.set(step, { keys: [key], timer })
  }

  stop(): void {
    this.rest.end()
    for (const { timer } of this.pending.values()) clearTimeout(timer)
  }

  private async touch(step: number): Promise<void> {
    const { keys = [] } = this.pending.get(step) ?? {}
    this.pending.delete(step)
    for (const key of keys) if (this.steps.get(key) === step) this.steps.delete(key)
    for (let first = 0; first < keys.length; first += BATCH) {
      const batch = keys.slice(first, first + BATCH)
      try {
        if ((await this.countExisting(batch)) === 0) continue
        await this.rest.for(2 * TOGETHER_MS)
        await this.countExisting(batch)
      } catch {
        return // Redis does not answer. The next pass of the scan schedules the keys that are left.
      }
    }
  }

  private async countExisting(keys: string[]): Promise<number> {
    if (this.connection.topology !== 'node') return this.connection.ask((client) => client.exists(...keys))
    // Each has its own slot, and some may have moved to another node meanwhile.
    const found = await this.connection.ask((client) => Promise.all(keys.map((key) => client.exists(key).catch(() => 0))))
    return found.reduce((sum, one) => sum + one, 0)
  }
}
