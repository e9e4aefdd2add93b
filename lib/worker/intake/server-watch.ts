// Checks what kind of server Redis is and how it is configured: about every second while something is wrong, and at once when an answer raises a
// doubt. Otherwise it asks every ten seconds, or every five minutes if pulses describe the server. No verdict is kept for a server that may have changed.

import type { RedisConnection } from '../../redis/connection.js'
import { isReplica, isReply, replyFault } from '../../redis/replies.js'
import {
  enableExpiryEvents,
  evictionIn,
  publishesExpiry,
  publishesTtls,
  readSettings,
  readUnfitness,
  type Unfitness,
  unfitnessBy,
  unfitnessIn,
  withExpiryEvents,
} from '../../redis/server.js'
import type { ServerFaults } from '../faults.js'

const WRONG_EVERY_MS = 750
const RIGHT_EVERY_MS = 10_000

/** Changes that pulses do not show are noticed in other ways, such as by the expiry probe. */
const DESCRIBED_EVERY_MS = 300_000

export interface ServerWatchDependencies {
  connection: RedisConnection
  faults: ServerFaults
  /** Whether `notify-keyspace-events` may be changed. */
  configureRedis: boolean
}

export interface ServerWatchListeners {
  /** The server can serve timers again. */
  onUsable(): void
  /** This worker has switched on expiry events. */
  onConfigured(): void
  /** Redis may be configured to publish keys that get a TTL. Called after each look. */
  onPublishesTtls(): void
}

export class ServerWatch {
  /** Whether Redis is configured to publish expiry events; undefined if CONFIG is refused. */
  publishes: boolean | undefined
  /** This watch's own verdict; `connection.fit` is what all workers on the connection know. */
  private usable = true
  private listeners: ServerWatchListeners = { onUsable() {}, onConfigured() {}, onPublishesTtls() {} }
  /** An answer that shows that the server cannot serve timers, and when it came. */
  private suspected: { error: Error; at: number } | undefined
  private eviction: string | undefined
  private describedAt = Number.NEGATIVE_INFINITY
  private lookedAt = Number.NEGATIVE_INFINITY
  private timer: NodeJS.Timeout | undefined
  private looking: Promise<void> | undefined
  private stopped = false
  private unlisten: () => void = () => {}

  constructor(private readonly dependencies: ServerWatchDependencies) {}

  start(listeners: ServerWatchListeners): void {
    this.listeners = listeners
    const { connection } = this.dependencies
    // A cluster node without slots is left, not judged.
    if (connection.topology === 'server') this.unlisten = connection.onDoubt((error) => this.doubt(error))
    this.lookLater()
  }

  async stop(): Promise<void> {
    this.stopped = true
    clearTimeout(this.timer)
    this.unlisten()
    await this.looking
    this.dependencies.connection.fit = true // no watch remains to correct the verdict
  }

  /** A pulse describes the server. @param info lines of INFO; empty if this user may not read them */
  described(info: string): void {
    const eviction = evictionIn(info)
    if (eviction === undefined) return
    this.describedAt = performance.now()
    const isNew =
      unfitnessIn(info, this.dependencies.connection.topology) !== null || (this.eviction !== undefined && eviction !== this.eviction)
    if (isNew && this.usable) void this.look()
  }

  /** Checks now. Never rejects. */
  look(): Promise<void> {
    this.lookedAt = performance.now()
    this.looking ??= this.judge()
      .catch(() => {}) // Redis does not answer; its connection reports that, and requests another check later
      .finally(() => {
        this.looking = undefined
        this.lookLater()
      })
    return this.looking
  }

  private lookLater(): void {
    clearTimeout(this.timer)
    if (this.stopped) return
    this.timer = setTimeout(() => this.lookAgain(), this.isWrong ? WRONG_EVERY_MS : RIGHT_EVERY_MS)
  }

  private lookAgain(): void {
    const { connection } = this.dependencies
    if (this.looking) return // another check follows; a new connection would interrupt this one
    if (this.usable && connection.ready) {
      if (this.knows()) this.lookLater()
      else void this.look()
      return
    }
    // The address may now lead to another server, which only a new connection reaches. That server is checked after the connection.
    connection.reconnect(this.suspected?.error)
    this.lookLater()
  }

  /** Whether everything is right, and pulses would show changes. */
  private knows(): boolean {
    const now = performance.now()
    if (this.isWrong || now - this.lookedAt >= DESCRIBED_EVERY_MS) return false
    return now - this.describedAt < 2 * RIGHT_EVERY_MS
  }

  private get isWrong(): boolean {
    return !this.usable || this.publishes === false || this.dependencies.faults.has('EVICTION')
  }

  /** One such answer is proof: a server that can serve accepts writes and has all keys. */
  private doubt(error: Error): void {
    this.suspected = { error, at: performance.now() }
    this.refuse(unfitnessBy(error), error)
    this.lookLater()
  }

  private refuse({ what, remedy }: Unfitness, error?: Error): void {
    this.usable = false
    this.dependencies.connection.fit = false
    const message = `Redis at ${this.dependencies.connection.where} cannot serve: ${what}`
    this.dependencies.faults.raise('REDIS_UNUSABLE', { message, remedy, ...(error && { error }) })
  }

  private async judge(): Promise<void> {
    const { connection, faults } = this.dependencies
    const unfitness = await readUnfitness(connection)
    if (unfitness) return this.refuse(unfitness)
    if (unfitness === undefined && this.suspected && !(await this.isOver(this.suspected))) return
    this.suspected = undefined
    const wasUsable = this.usable
    this.usable = true
    connection.fit = true
    if (!wasUsable) this.listeners.onUsable() // first, so that nothing is reported as well while events go to another server
    faults.clear('REDIS_UNUSABLE')
    await this.judgeSettings()
  }

  /** Whether a suspicion no longer holds, if INFO is refused. A server that accepts writes is not a replica; a cluster node cannot be recognized, so it is retried after a while. */
  private async isOver({ error, at }: { error: Error; at: number }): Promise<boolean> {
    if (!isReplica(error)) return performance.now() - at > RIGHT_EVERY_MS
    try {
      await this.dependencies.connection.refusals.probe?.()
      return true
    } catch (refused) {
      return isReply(refused) && replyFault(refused) === 'REDIS_REFUSES' // refused for another reason, which is reported
    }
  }

  private async judgeSettings(): Promise<void> {
    const { connection, faults } = this.dependencies
    const { notifications, eviction } = await readSettings(connection)
    this.eviction = eviction
    if (eviction !== undefined && eviction !== 'noeviction') {
      const message = `Redis at ${connection.where} may evict timers (maxmemory-policy ${eviction})`
      faults.raise('EVICTION', { message, remedy: 'set "maxmemory-policy noeviction"' })
    } else faults.clear('EVICTION')
    const published = this.publishes
    this.publishes = notifications === undefined ? undefined : publishesExpiry(notifications)
    if (notifications === undefined || publishesTtls(notifications)) this.listeners.onPublishesTtls()
    if (notifications !== undefined && !this.publishes) await this.eventsOff(notifications)
    else if (published === false) faults.clear('EVENTS_OFF')
  }

  private async eventsOff(flags: string): Promise<void> {
    const { configureRedis, connection, faults } = this.dependencies
    const off = `Redis at ${connection.where} publishes no expiry events (notify-keyspace-events is "${flags}")`
    const remedy = `set in redis.conf: notify-keyspace-events ${withExpiryEvents(flags)}`
    if (!configureRedis) return faults.raise('EVENTS_OFF', { message: off, remedy })
    try {
      await enableExpiryEvents(connection, flags)
      this.publishes = true
      faults.clear('EVENTS_OFF')
      this.listeners.onConfigured()
    } catch (error) {
      faults.raise('EVENTS_OFF', { message: `${off}, and CONFIG SET failed`, remedy, error })
    }
  }
}
