// Punctual events for keys that somebody else sets. Redis publishes an expiry when it comes across the key, which with many keys may take
// minutes; it comes across it at once when the key is touched. So a slow scan notes the keys of our kinds that are not in the index,
// and when they are due they are touched. One worker does it, under a lock that lapses with it.

import type { Keys } from '../../keys.js'
import type { RedisConnection } from '../../redis/connection.js'
import type { Operation } from '../../redis/refusals.js'

/** Redis does nothing else during a step: one to two milliseconds with so many (seen on 7.0.15 among a million keys). */
const STEP_KEYS = 1_000
const LOCK_MS = 10_000

/** The scan may take this share of the time: it rests so many times as long as Redis was busy with it. */
const REST_FACTOR = 350

/** And no longer than this, since a step that took long was most likely waiting for something else than Redis. */
const LONGEST_REST_MS = 1_500

/** A keyspace that is scanned quickly is scanned about once a second. */
const SHORTEST_PASS_MS = 1_000

/** How many keys are noted at most; those beyond wait for the next pass, or for Redis. */
const MOST_NOTED = 200_000

/** Until a pass has shown how long passes take: keys that are due later than this are noted by a later one. */
const FIRST_HORIZON_MS = 300_000

/** Keys due within the same few milliseconds are touched together. */
const TOGETHER_MS = 5

/** By how much a touch comes after the expiry, since Redis rounds. A key that is there still is touched once more. */
const AFTER_MS = 2

const TOUCH_BATCH = 1_000

const LOCK: Operation<boolean> = { what: 'scan', proves: () => 'memory' }

type Scan = { orderTimersScan(...values: (string | number)[]): Promise<(string | number)[]> }

export class ExternalKeys {
  /** How many passes over the keyspace have been completed. */
  passes = 0
  /** Key to the moment (by the monotonic clock, in steps) at which it will be touched. */
  private readonly noted = new Map<string, number>()
  private readonly touches = new Map<number, { keys: string[]; timer: NodeJS.Timeout }>()
  private horizonMs = FIRST_HORIZON_MS
  private stopped = false
  private ended: Promise<void> = Promise.resolve()
  private readonly interrupts = new Set<() => void>()

  constructor(
    private readonly keys: Keys,
    private readonly kinds: readonly string[],
    private readonly connection: RedisConnection,
    private readonly workerId: string,
    private readonly usable: () => boolean,
  ) {}

  start(): void {
    this.ended = this.run()
  }

  async stop(): Promise<void> {
    this.stopped = true
    for (const interrupt of this.interrupts) interrupt()
    for (const { timer } of this.touches.values()) clearTimeout(timer)
    await this.ended
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const startedAt = performance.now()
      try {
        if (this.usable() && (await this.mayScan())) await this.pass()
      } catch {
        // Redis does not answer, or refuses the lock: its connection knows; another pass follows
      }
      await this.rest(SHORTEST_PASS_MS - (performance.now() - startedAt))
    }
  }

  /** One worker at a time: the lock is taken, or renewed by its holder. */
  private async mayScan(): Promise<boolean> {
    const lock = `${this.keys.scannerLock}:${this.kinds.join(',')}`
    return this.connection.ask(async (client) => {
      if ((await client.set(lock, this.workerId, 'PX', LOCK_MS, 'NX')) === 'OK') return true
      if ((await client.get(lock)) !== this.workerId) return false
      await client.pexpire(lock, LOCK_MS)
      return true
    }, LOCK)
  }

  private async pass(): Promise<void> {
    const values = this.kinds.flatMap((kind) => [this.keys.timersOf(kind), this.keys.sets(kind).due])
    const passStartedAt = performance.now()
    let cursor = '0'
    let renewAt = performance.now() + LOCK_MS / 2
    do {
      const startedAt = performance.now()
      const answer = await this.connection.ask((client) =>
        (client as unknown as Scan).orderTimersScan(cursor, STEP_KEYS, this.horizonMs, ...values),
      )
      cursor = String(answer[0])
      for (let i = 1; i < answer.length; i += 2) this.note(String(answer[i]), Number(answer[i + 1]))
      if (performance.now() > renewAt) {
        if (!(await this.mayScan())) return
        renewAt = performance.now() + LOCK_MS / 2
      }
      if (cursor !== '0') await this.rest(Math.min(LONGEST_REST_MS, (performance.now() - startedAt) * REST_FACTOR))
    } while (cursor !== '0' && !this.stopped)
    if (this.stopped) return
    this.passes += 1
    this.horizonMs = Math.ceil(2 * (performance.now() - passStartedAt + SHORTEST_PASS_MS)) + 5_000
  }

  private note(key: string, leftMs: number): void {
    const moment = Math.ceil((performance.now() + leftMs + AFTER_MS) / TOGETHER_MS)
    if (this.noted.get(key) === moment || (this.noted.size >= MOST_NOTED && !this.noted.has(key))) return
    this.noted.set(key, moment)
    const touch = this.touches.get(moment)
    if (touch) touch.keys.push(key)
    else {
      const timer = setTimeout(() => void this.touch(moment), moment * TOGETHER_MS - performance.now())
      this.touches.set(moment, { keys: [key], timer })
    }
  }

  private async touch(moment: number): Promise<void> {
    const { keys = [] } = this.touches.get(moment) ?? {}
    this.touches.delete(moment)
    for (const key of keys) if (this.noted.get(key) === moment) this.noted.delete(key)
    for (let first = 0; first < keys.length; first += TOUCH_BATCH) {
      const batch = keys.slice(first, first + TOUCH_BATCH)
      try {
        if ((await this.exists(batch)) === 0) continue
        await this.rest(2 * TOGETHER_MS)
        await this.exists(batch)
      } catch {
        return // Redis went away; what it still has, the next pass notes
      }
    }
  }

  private exists(keys: string[]): Promise<number> {
    return this.connection.ask((client) => client.exists(...keys))
  }

  private rest(milliseconds: number): Promise<void> {
    if (this.stopped || milliseconds <= 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(done, milliseconds)
      const interrupts = this.interrupts
      function done() {
        clearTimeout(timer)
        interrupts.delete(done)
        resolve()
      }
      interrupts.add(done)
    })
  }
}
