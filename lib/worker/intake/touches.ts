// Touches keys when they expire. Redis publishes a key's expiry when it comes across the key, which may take minutes; a command on the key makes
// it do so at once. Where events do not arrive, a key that was there a moment before its expiry and is gone after it counts as expired.

import type { RedisConnection } from '../../redis/connection.js'
import { isReply } from '../../redis/replies.js'
import { Rest } from './rest.js'

/** The maximum number of touches, and of those that may be later. Other keys wait for a later pass of the scan, or for Redis. */
const MOST_TOUCHES = 200_000
const MOST_LATER_TOUCHES = 100_000
const LATER_MS = 300_000

/** Keys that expire within the same few milliseconds are touched together. */
const TOGETHER_MS = 5

/** An expiry that was read again may differ by this without being another one: both are tried, since the later answer need not be the better one. */
const READ_STEPS = 100 / TOGETHER_MS

/** How long after its expiry a key is touched, since Redis rounds. A key that still exists then is touched once more. */
const AFTER_MS = 2

const BATCH = 1_000

/**
 * How long before its expiry a key is looked at where no event tells of that. One that is deleted within this time counts as expired, and one is missed while
 * the process stands still for longer.
 */
const BEFORE_MS = 250

/** Where the expiry of a key is to be told. */
export interface Hearing {
  /** Whether events do not arrive. */
  isDeaf(): boolean
  onExpired(key: string): void
}

export class Touches {
  /** By key: the time of its last touch, by the monotonic clock in steps of TOGETHER_MS. */
  private readonly steps = new Map<string, number>()
  private readonly pending = new Map<number, { keys: Set<string>; timer: NodeJS.Timeout }>()
  private readonly rest = new Rest()
  private touches = 0

  constructor(
    private readonly connection: RedisConnection,
    private readonly hearing: Hearing,
  ) {}

  /** @param leftMs until the key expires */
  schedule(key: string, leftMs: number): void {
    const afterMs = this.hearing.isDeaf() ? -BEFORE_MS : AFTER_MS
    const step = Math.ceil((performance.now() + Math.max(0, leftMs + afterMs)) / TOGETHER_MS)
    const before = this.steps.get(key)
    if (before !== undefined && Math.abs(step - before) > READ_STEPS) this.drop(key, before)
    const together = this.pending.get(step)
    if (together?.keys.has(key) || this.touches >= (leftMs > LATER_MS ? MOST_LATER_TOUCHES : MOST_TOUCHES)) return
    this.touches += 1
    this.steps.set(key, step)
    if (together) {
      together.keys.add(key)
      return
    }
    const timer = setTimeout(() => void this.touch(step), step * TOGETHER_MS - performance.now())
    this.pending.set(step, { keys: new Set([key]), timer })
  }

  stop(): void {
    this.rest.end()
    for (const { timer } of this.pending.values()) clearTimeout(timer)
  }

  /** The key has another expiry. */
  private drop(key: string, step: number): void {
    this.steps.delete(key)
    const together = this.pending.get(step)
    if (!together?.keys.delete(key)) return
    this.touches -= 1
    if (together.keys.size > 0) return
    clearTimeout(together.timer)
    this.pending.delete(step)
  }

  private async touch(step: number): Promise<void> {
    const keys = [...(this.pending.get(step)?.keys ?? [])]
    this.pending.delete(step)
    this.touches -= keys.length
    for (const key of keys) if (this.steps.get(key) === step) this.steps.delete(key)
    for (let first = 0; first < keys.length; first += BATCH) {
      const batch = keys.slice(first, first + BATCH)
      try {
        if (this.hearing.isDeaf()) {
          await this.follow(batch)
          continue
        }
        if ((await this.countExisting(batch)) === 0) continue
        await this.rest.for(2 * TOGETHER_MS)
        await this.countExisting(batch)
      } catch {
        return // Redis does not answer. The next pass of the scan schedules the keys that are left.
      }
    }
  }

  private async follow(keys: string[]): Promise<void> {
    const before = await this.look(keys)
    const there = keys.filter((_, i) => before[i] === 1)
    await this.rest.for(BEFORE_MS + AFTER_MS)
    const after = await this.look(there)
    for (const [i, key] of there.entries()) if (after[i] === 0) this.hearing.onExpired(key)
  }

  private async countExisting(keys: string[]): Promise<number> {
    if (this.connection.topology !== 'node') return this.connection.ask((client) => client.exists(...keys))
    return (await this.look(keys)).filter((found) => found !== 0).length // in a cluster each has a slot of its own
  }

  /**
   * For each key 1 if it is there, 0 if it is not, and undefined if Redis refuses to say, for example because its slot has moved to another node.
   * @throws OrderTimersError REDIS_UNAVAILABLE without an answer, as after a lost connection
   */
  private look(keys: string[]): Promise<(number | undefined)[]> {
    return this.connection.ask((client) => Promise.all(keys.map((key) => client.exists(key).catch(ifRefused))))
  }
}

function ifRefused(error: unknown): undefined {
  if (!isReply(error)) throw error
}
