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
 * How long before its expiry a key is looked at if no event will tell of that. One that is deleted within this time counts as expired, and one is missed while
 * the process stands still for longer.
 */
const BEFORE_MS = 250

/** Where the expiry of a key is to be told. */
export interface Hearing {
  /** Whether events do not arrive. */
  isDeaf(): boolean
  onExpired(key: string): void
}

interface Together {
  /** In a step that was looked at before, only those that were there then, and those that were scheduled since. */
  keys: Set<string>
  timer: NodeJS.Timeout
  /** Resolves when it was looked at before; undefined if events arrived at that time. */
  looked?: Promise<void>
}

export class Touches {
  /** By key: the time of its last touch, by the monotonic clock in steps of TOGETHER_MS. */
  private readonly steps = new Map<string, number>()
  private readonly pending = new Map<number, Together>()
  private readonly rest = new Rest()
  private touches = 0

  constructor(
    private readonly connection: RedisConnection,
    private readonly hearing: Hearing,
  ) {}

  /** @param leftMs until the key expires */
  schedule(key: string, leftMs: number): void {
    const step = Math.ceil((performance.now() + leftMs + AFTER_MS) / TOGETHER_MS)
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
    this.pending.set(step, { keys: new Set([key]), timer: at(step, -BEFORE_MS, () => this.lookBefore(step)) })
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

  /** Whether events arrive is asked now and not when the key was found, which may be long ago. */
  private lookBefore(step: number): void {
    const together = this.pending.get(step) as Together
    together.timer = at(step, 0, () => void this.touch(step))
    if (this.hearing.isDeaf()) together.looked = this.leaveOutGone(step, together.keys)
  }

  private async leaveOutGone(step: number, keys: Set<string>): Promise<void> {
    for (const batch of batchesOf([...keys])) {
      const found = await this.look(batch).catch(() => [])
      for (const [i, key] of batch.entries()) if (found[i] !== 1 && keys.has(key)) this.drop(key, step)
    }
  }

  private async touch(step: number): Promise<void> {
    const together = this.pending.get(step)
    await together?.looked
    const keys = [...(together?.keys ?? [])]
    this.pending.delete(step)
    this.touches -= keys.length
    for (const key of keys) if (this.steps.get(key) === step) this.steps.delete(key)
    for (const batch of batchesOf(keys)) {
      try {
        if (together?.looked && this.hearing.isDeaf()) {
          const found = await this.look(batch)
          for (const [i, key] of batch.entries()) if (found[i] === 0) this.hearing.onExpired(key)
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

function at(step: number, offsetMs: number, act: () => void): NodeJS.Timeout {
  return setTimeout(act, step * TOGETHER_MS + offsetMs - performance.now())
}

function batchesOf(keys: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(keys.length / BATCH) }, (_, i) => keys.slice(i * BATCH, (i + 1) * BATCH))
}

function ifRefused(error: unknown): undefined {
  if (!isReply(error)) throw error
}
