// Makes the expiry events of keys that other services set punctual. A slow scan finds the keys of our kinds that are not in the due index, and
// they are touched when they expire. One worker scans at a time, under a lock that expires if the worker dies.

import type { Keys } from '../../keys.js'
import type { RedisConnection } from '../../redis/connection.js'
import type { Operation } from '../../redis/refusals.js'
import { Rest } from './rest.js'
import { Touches } from './touches.js'

/** Redis does nothing else during a step: it takes one to two milliseconds with so many keys (seen on 7.0.15 among a million). */
const STEP_KEYS = 1_000
const LOCK_MS = 10_000

/** After each step the scan rests for this many times as long as the step took, so that Redis spends little of its time on it. */
const REST_FACTOR = 350

/** It rests no longer than this: a step that took longer was most likely waiting for something else. */
const LONGEST_REST_MS = 1_500

/** A keyspace that is scanned quickly is scanned about once a second. */
const SHORTEST_PASS_MS = 1_000

/** Keys that expire later than this are left to a later pass. Used until the first pass has shown how long passes take. */
const FIRST_HORIZON_MS = 300_000

const LOCK: Operation<boolean> = { what: 'scan', proves: () => 'memory' }

type Scan = { orderTimersScan(...values: (string | number)[]): Promise<(string | number)[]> }

export class ExternalKeys {
  /** How many passes over the keyspace have been completed. */
  passes = 0
  private readonly touches: Touches
  private readonly rest = new Rest()
  private horizonMs = FIRST_HORIZON_MS
  private stopped = false
  private ended: Promise<void> = Promise.resolve()

  constructor(
    private readonly keys: Keys,
    private readonly kinds: readonly string[],
    private readonly connection: RedisConnection,
    private readonly workerId: string,
  ) {
    this.touches = new Touches(connection)
  }

  start(): void {
    this.ended = this.run()
  }

  async stop(): Promise<void> {
    this.stopped = true
    this.rest.end()
    this.touches.stop()
    await this.ended
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const startedAt = performance.now()
      try {
        if (this.connection.usable && (await this.takeLock())) await this.pass()
      } catch {
        // Redis does not answer, or refuses the lock. Its connection reports that, and another pass follows.
      }
      await this.rest.for(SHORTEST_PASS_MS - (performance.now() - startedAt))
    }
  }

  /** Takes the lock, or renews it. @returns whether this worker has it */
  private async takeLock(): Promise<boolean> {
    const lock = `${this.keys.scannerLock}:${this.kinds.join(',')}`
    return this.connection.ask(async (client) => {
      if ((await client.set(lock, this.workerId, 'PX', LOCK_MS, 'NX')) === 'OK') return true
      if ((await client.get(lock)) !== this.workerId) return false
      await client.pexpire(lock, LOCK_MS)
      return true
    }, LOCK)
  }

  private async pass(): Promise<void> {
    const passStartedAt = performance.now()
    let cursor = '0'
    let renewAt = performance.now() + LOCK_MS / 2
    do {
      const startedAt = performance.now()
      cursor = await this.step(cursor)
      if (performance.now() > renewAt) {
        if (!(await this.takeLock())) return
        renewAt = performance.now() + LOCK_MS / 2
      }
      if (cursor !== '0') await this.rest.for(Math.min(LONGEST_REST_MS, (performance.now() - startedAt) * REST_FACTOR))
    } while (cursor !== '0' && !this.stopped)
    if (this.stopped) return
    this.passes += 1
    this.horizonMs = Math.ceil(2 * (performance.now() - passStartedAt + SHORTEST_PASS_MS)) + 5_000
  }

  /** @returns the cursor of the next step; '0' after the last one */
  private async step(cursor: string): Promise<string> {
    const patterns = this.kinds.flatMap((kind) => [this.keys.timersOf(kind), this.keys.sets(kind).due])
    const [next, ...found] = await this.connection.ask((client) =>
      (client as unknown as Scan).orderTimersScan(cursor, STEP_KEYS, this.horizonMs, ...patterns),
    )
    for (let i = 0; i < found.length; i += 2) this.touches.schedule(String(found[i]), Number(found[i + 1]))
    return String(next)
  }
}
