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

/** How often it is looked at again before its expiry, if Redis did not answer. */
const LOOK_AGAIN_MS = 25

/** How often, and for how long, it is asked after the expiry whether keys are gone: longer than a failover takes. */
const AGAIN_MS = 1_000
const LONGEST_MS = 60_000

/** Where the expiry of a key is to be told. */
export interface Hearing {
  /** Whether events do not arrive; undefined while unknown. */
  isDeaf(): boolean | undefined
  onExpired(key: string): void
}

interface Together {
  /** In a step that was looked at before, only those that were there then, and those that were scheduled since. */
  keys: Set<string>
  timer: NodeJS.Timeout
  /** Resolves when it was looked at before, whether Redis answered; undefined if events arrived then. */
  looked?: Promise<boolean>
}

export class Touches {
  /** By key: the time of its last touch, by the monotonic clock in steps of TOGETHER_MS. */
  private readonly steps = new Map<string, number>()
  private readonly pending = new Map<number, Together>()
  private readonly rest = new Rest()
  private touches = 0
  private stopped = false

  constructor(
    private readonly connection: RedisConnection,
    private readonly hearing: Hearing,
    private readonly beforeMs = BEFORE_MS,
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
    this.pending.set(step, { keys: new Set([key]), timer: at(step, -this.beforeMs, () => this.lookBefore(step)) })
  }

  stop(): void {
    this.stopped = true
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
    if (this.hearing.isDeaf() !== false) together.looked = this.leaveOutGone(step, together.keys)
  }

  private async leaveOutGone(step: number, keys: Set<string>): Promise<boolean> {
    let answered = true
    for (const batch of batchesOf([...keys])) {
      const found = await this.lookUntil(step, batch)
      if (found) for (const [i, key] of batch.entries()) if (found[i] !== 1 && keys.has(key)) this.drop(key, step)
      answered &&= found !== undefined
    }
    return answered
  }

  /** @returns as `look`; undefined if Redis does not answer in time: the keys may have been there */
  private async lookUntil(step: number, batch: string[]): Promise<(number | undefined)[] | undefined> {
    while (!this.stopped && performance.now() < step * TOGETHER_MS) {
      try {
        return await this.look(batch)
      } catch {
        await this.rest.for(LOOK_AGAIN_MS)
      }
    }
    return undefined
  }

  private async touch(step: number): Promise<void> {
    const together = this.pending.get(step)
    const answered = await together?.looked
    const keys = [...(together?.keys ?? [])]
    this.pending.delete(step)
    this.touches -= keys.length
    for (const key of keys) if (this.steps.get(key) === step) this.steps.delete(key)
    for (const batch of batchesOf(keys)) await (answered === undefined ? this.touchBatch(batch) : this.tellGone(batch, answered))
  }

  /** Redis publishes their expiry. Without an answer, the next pass of the scan schedules those that are left. */
  private async touchBatch(batch: string[]): Promise<void> {
    try {
      if ((await this.countExisting(batch)) === 0) return
      await this.rest.for(2 * TOGETHER_MS)
      await this.countExisting(batch)
    } catch {}
  }

  /**
   * Tells of the keys that are gone while events do not arrive, since nothing else does. What Redis does not answer is asked again.
   * @param wasDeaf whether Redis answered before, while events did not arrive. Without that it is asked twice: after a new connection the subscription follows
   * a moment later, and then Redis itself publishes them
   */
  private async tellGone(batch: string[], wasDeaf: boolean, since = performance.now()): Promise<void> {
    const isDeaf = this.hearing.isDeaf()
    if (isDeaf === false) return this.touchBatch(batch)
    const found = await this.look(batch).catch(() => undefined)
    const gone = found ? batch.filter((_, i) => found[i] === 0) : batch
    if (found && isDeaf && wasDeaf) for (const key of gone) this.hearing.onExpired(key)
    else if (gone.length > 0 && performance.now() - since < LONGEST_MS)
      void this.tellLater(gone, found !== undefined && isDeaf === true, since)
  }

  private async tellLater(gone: string[], wasDeaf: boolean, since: number): Promise<void> {
    await this.rest.for(AGAIN_MS)
    if (!this.stopped) await this.tellGone(gone, wasDeaf, since)
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
