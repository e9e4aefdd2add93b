// Makes the expiry events of keys that other services set punctual. A slow scan finds the keys of our kinds that are not in the due index, and
// they are touched when they expire. One worker scans at a time, under a lock that expires if the worker dies. A pass over the keyspace begins
// with a pulse of the worker, and a small keyspace needs no further step. Where Redis publishes that a key got a TTL, each worker learns of it at once.

import type { Redis } from 'ioredis'
import type { Keys } from '../../keys.js'
import type { RedisConnection } from '../../redis/connection.js'
import { parseScan, type ScanStep } from '../../redis/pulse.js'
import { scripts } from '../../redis/script-calls.js'
import type { ServerFaults } from '../faults.js'
import { NewKeys } from './new-keys.js'
import { Rest } from './rest.js'
import { ScanFaults } from './scan-faults.js'
import { type Hearing, Touches } from './touches.js'

/** Redis does nothing else during a step: it takes one to two milliseconds with so many keys (seen on 7.0.15 among a million). */
const STEP_KEYS = 1_000
const LOCK_MS = 10_000

/** After each step the scan rests for this many times as long as the step took, so that Redis spends little of its time on it. */
const REST_FACTOR = 350

/** The longest rest: a step that took longer was probably waiting for something else. */
const LONGEST_REST_MS = 1_500

/** A small keyspace is scanned about once a second. */
const SHORTEST_PASS_MS = 1_000

/**
 * Keys that expire later than this are left to a later pass. Used until the first pass has shown how long passes take, and as the minimum for keys
 * that events report: a pass over some million keys takes less.
 */
const FIRST_HORIZON_MS = 3_600_000

/** The same for keys that events report, if nothing is scanned: as long as a timeout may be. */
const LONGEST_HORIZON_MS = 2 ** 31 - 1_000

export interface ExternalKeysDependencies {
  keys: Keys
  kinds: readonly string[]
  connection: RedisConnection
  workerId: string
  hearing: Hearing
  faults: ServerFaults
  /** Whether the keyspace is scanned. */
  scans: boolean
  /** The name of the lock under which one worker scans this server. */
  lock(): string
  /** Filters the keys that are not in the index, if the scan itself cannot check that. */
  unindexed(found: ScanStep['found']): Promise<ScanStep['found']>
}

export class ExternalKeys {
  /** How many passes over the keyspace have been completed. */
  passes = 0
  /** How long the last pass took, milliseconds; undefined if this worker has not completed one, or another worker scans now. */
  passMs: number | undefined
  private readonly touches: Touches
  private readonly newKeys: NewKeys
  private readonly scanFaults: ScanFaults
  private readonly rest = new Rest()
  private readonly patterns: readonly string[]
  private horizonMs = FIRST_HORIZON_MS
  /** When the first step of the pass was sent. */
  private startedAt = 0
  private passing: Promise<void> | undefined
  private hasLock = false
  private stopped = false

  constructor(private readonly dependencies: ExternalKeysDependencies) {
    const { connection, keys, kinds, hearing, faults } = dependencies
    this.touches = new Touches(connection, hearing)
    this.scanFaults = new ScanFaults(connection, faults)
    // A script on one node of a cluster cannot ask the index, whose partitions lie anywhere.
    const dueOf = (kind: string) => (connection.topology === 'node' ? '' : keys.sets(kind).due)
    this.patterns = kinds.flatMap((kind) => [keys.timersOf(kind), dueOf(kind)])
    const beginnings = kinds.map((kind) => keys.timersOf(kind))
    this.newKeys = new NewKeys(beginnings, (names) => this.lookAt(names))
  }

  async stop(): Promise<void> {
    this.stopped = true
    this.rest.end()
    this.touches.stop()
    await Promise.all([this.passing, this.newKeys.stop()])
    await this.leaveToOthers().catch(() => {}) // then the lock expires
  }

  /** A key got a TTL. */
  gotTtl(name: string): void {
    if (!this.stopped) this.newKeys.take(name)
  }

  /** What a pulse needs for the first step of a pass; undefined during a pass. */
  firstStep(): readonly (string | number)[] | undefined {
    if (this.passing || this.stopped) return undefined
    this.startedAt = performance.now()
    return [this.lock, this.dependencies.workerId, LOCK_MS, STEP_KEYS, this.horizonMs, ...this.patterns]
  }

  /** A pulse has taken the first step. @param first undefined if another worker scans, or with an error */
  stepped(first: ScanStep | undefined, refused?: Error): void {
    if (this.passing || this.stopped) return
    if (refused) this.scanFaults.refused(refused)
    else this.scanFaults.works()
    this.hasLock = first !== undefined
    if (!first) {
      this.passMs = undefined
      return
    }
    this.passing = this.pass(first)
      .catch(() => {}) // Redis does not answer, or refuses. That is reported, and another pass follows.
      .finally(() => {
        this.passing = undefined
      })
  }

  /** Another worker scans at once: what this one has noted is known to nobody else. */
  private async leaveToOthers(): Promise<void> {
    const { connection, workerId } = this.dependencies
    if (!this.hasLock) return
    const { lock } = this
    await connection.ask(async (client) => (await client.get(lock)) === workerId && client.unlink(lock))
  }

  private get lock(): string {
    return `${this.dependencies.lock()}:${this.dependencies.kinds.join(',')}`
  }

  private async pass(first: ScanStep): Promise<void> {
    let [step, stepStartedAt]: [ScanStep, number] = [first, this.startedAt]
    for (;;) {
      await this.schedule(step)
      if (step.cursor === '0') break
      await this.rest.for(Math.min(LONGEST_REST_MS, (performance.now() - stepStartedAt) * REST_FACTOR))
      if (this.stopped) return
      stepStartedAt = performance.now()
      const next = await this.step(step.cursor)
      if (!next) return
      step = next
    }
    this.passes += 1
    this.passMs = Math.round(performance.now() - this.startedAt)
    this.horizonMs = 2 * (this.passMs + SHORTEST_PASS_MS) + 5_000
  }

  private async lookAt(names: readonly string[]): Promise<void> {
    const { connection, scans } = this.dependencies
    if (!connection.usable) return
    const horizonMs = scans ? Math.max(FIRST_HORIZON_MS, this.horizonMs) : LONGEST_HORIZON_MS
    const values = [JSON.stringify(names), horizonMs, this.lock, ...this.patterns]
    const found = await this.ask((client) => scripts(client).orderTimersExternal(...values))
    if (!scans) this.scanFaults.works()
    if (found) await this.schedule(found)
  }

  private async schedule({ found }: ScanStep): Promise<void> {
    const external = await this.dependencies.unindexed(found)
    if (this.stopped) return
    for (const [key, leftMs] of external) this.touches.schedule(key, leftMs)
  }

  private async step(cursor: string): Promise<ScanStep | undefined> {
    const { workerId } = this.dependencies
    const values = [this.lock, workerId, LOCK_MS, cursor, STEP_KEYS, this.horizonMs, ...this.patterns]
    const step = await this.ask((client) => scripts(client).orderTimersScan(...values))
    this.scanFaults.works()
    return step
  }

  /** @throws what `RedisConnection.ask` throws; a refusal is reported as well */
  private async ask(script: (client: Redis) => Promise<unknown>): Promise<ScanStep | undefined> {
    try {
      return parseScan((await this.dependencies.connection.ask(script)) as (string | number)[])
    } catch (error) {
      if (!this.stopped) this.scanFaults.refused(error)
      throw error
    }
  }
}
