// One of our own connections to Redis. It never gives up reconnecting, never queues commands, never causes unhandled rejections, and never lets a caller wait
// longer than its limit. A command that timed out may still be carried out, so every command must be safe to repeat.

import type { Redis } from 'ioredis'
import type { OrderTimersError } from '../errors.js'
import type { Keys } from '../keys.js'
import { Listeners } from '../listeners.js'
import { within } from '../wait.js'
import { Availability } from './availability.js'
import { keepUpToDate, type Upkeep } from './cluster-upkeep.js'
import { Layout } from './layout.js'
import { troubleOf } from './no-address.js'
import { Obstacles } from './obstacles.js'
import { Opening } from './opening.js'
import { OURS } from './own-options.js'
import { Pace } from './pace.js'
import { Quiet } from './quiet.js'
import { type Operation, Refusals } from './refusals.js'
import { isMoving, isReplica, isReply, noteOfCluster, replyFault } from './replies.js'
import { sentBy } from './send-limits.js'
import type { RedisSource } from './single-source.js'
import { redisError, wasLost } from './trouble.js'

export class RedisConnection {
  readonly client: Redis
  /** The address, for messages. */
  readonly where: string
  readonly topology: RedisSource['topology']
  /** Writes that Redis refuses. */
  readonly refusals = new Refusals()
  /** False if the server cannot serve timers (a replica, a cluster node). The worker's server watch sets it. */
  fit = true
  /** When Redis last answered `ask`, by `performance.now()`. */
  answeredAt = 0
  /** True while it is closed in order to be reopened; the client's status is `ready` until its socket has closed. */
  leaving = false
  private readonly availability: Availability
  private readonly obstacles: Obstacles
  private readonly doubtListeners = new Listeners<[error: Error]>()
  /** How often a connection to a replica may be replaced by a new one to the same address. */
  private readonly departures = new Pace()
  private readonly opening: Opening
  private readonly quiet: Quiet
  private readonly layout: Layout
  private readonly upkeep: Upkeep | undefined

  /** @param keys of the data, for a connection that reads or writes data */
  constructor(source: RedisSource, name: string, keys?: Keys) {
    this.client = source.create(name)
    this.where = source.describe()
    this.topology = source.topology
    this.availability = new Availability(this.where)
    this.obstacles = new Obstacles(this.client, () => this.up())
    this.quiet = new Quiet(this.client)
    this.upkeep = this.topology === 'cluster' ? keepUpToDate(this.client) : undefined
    this.layout = new Layout(this.client, keys)
    // If an `error` event gave a reason, the failed opening only says that there is no connection.
    const onFailed = (error: unknown) => {
      this.availability.trouble ??= error
    }
    this.opening = new Opening(this.client, { afterReady: () => this.layout.known, onFailed })
    this.client.on('error', (error) => {
      this.availability.trouble = troubleOf(this.client, error)
      this.obstacles.refused((error as { command?: { name?: string } }).command?.name, source.db)
      // If no Sentinel names a primary there is no connection, and so no `close`: ioredis asks them again by itself.
      if (this.client.status === 'connecting') this.availability.down(this.availability.trouble)
    })
    const down = (error: unknown) => this.availability.down(error)
    this.client.on('connect', () => this.obstacles.whileNotReady(down))
    this.client.on('ready', () => this.layout.look(down, () => this.up()))
    this.client.on('close', () => this.lost())
    this.client.on('end', () => this.reopen())
  }

  get ready(): boolean {
    return this.client.status === 'ready' && !this.obstacles.isElsewhere && this.layout.understood
  }

  /** Whether it is connected to a server that can serve timers. A command may still go unanswered: see `serving`. */
  get usable(): boolean {
    return this.ready && this.fit
  }

  /** Whether it is connected to a server that can serve timers, and the last command was answered. */
  get serving(): boolean {
    return this.usable && this.answering
  }

  /** False from the first unanswered command or lost connection until Redis answers again. */
  get answering(): boolean {
    return this.availability.answering
  }

  /** Whether this process stood still until a moment ago, and may itself be the reason for the silence. */
  get justWoke(): boolean {
    return this.availability.justWoke
  }

  /** Called after each (re)connection. @returns a function that ends it */
  onUp(listener: () => void): () => void {
    return this.availability.onUp(listener)
  }

  /** Called when Redis stops answering, and when the reason changes; at once if Redis already does not answer. @returns a function that ends it */
  onDown(listener: (error: unknown) => void): () => void {
    return this.availability.onDown(listener)
  }

  /** Called when a reply says that this server cannot serve (READONLY, MOVED …). @returns a function that ends it */
  onDoubt(listener: (error: Error) => void): () => void {
    return this.doubtListeners.add(listener)
  }

  /** Opens the connection, once. Never rejects: problems show in `run` and `onDown`. */
  open(): void {
    this.quiet.end()
    void this.opening.once()
  }

  /** The same, but this connection does not keep the process running until somebody else uses it. @returns when the first attempt has ended */
  openQuietly(): Promise<void> {
    if (!this.opening.firstAttempt) this.quiet.begin()
    return this.opening.once()
  }

  /**
   * For requests.
   * @param waitMs how long to wait for the answer; not at all while Redis is known not to answer
   * @param operation what the command does, where its refusal is to be noted
   * @throws OrderTimersError REDIS_UNAVAILABLE without an answer in time; what Redis itself answers as an error passes through
   */
  async run<T>(waitMs: number, command: (client: Redis) => Promise<T>, operation?: Operation<T>): Promise<T> {
    const startedAt = performance.now()
    await this.connected(waitMs)
    const answer = sentBy(startedAt + waitMs, () => this.ask(command, operation)).then(
      (value) => ({ value }),
      (error) => ({ error }),
    )
    const wait = this.answering ? waitMs - (performance.now() - startedAt) : 0
    const result = await within(Math.max(0, wait), answer)
    if (result === undefined) {
      const silence = new Error(`no answer in ${waitMs} ms`)
      if (this.topology !== 'cluster') this.availability.down(silence) // in a cluster only one node is silent
      throw this.unavailable(silence)
    }
    if ('value' in result) return result.value
    throw result.error
  }

  /**
   * For the worker, whose loops try again: waits until Redis answers or the connection is given up for silence.
   * @param operation what the command does, where its refusal is to be noted
   * @throws OrderTimersError REDIS_UNAVAILABLE; what Redis itself answers as an error passes through, unless it is that it is busy or loads
   */
  async ask<T>(command: (client: Redis) => Promise<T>, operation?: Operation<T>): Promise<T> {
    if (!this.ready) throw this.unavailable()
    const sentAt = performance.now()
    try {
      const value = await command(this.client)
      this.answeredAt = performance.now()
      this.up()
      if (operation) this.refusals.accept(operation.what, operation.proves(value))
      return value
    } catch (error) {
      if (!isReply(error)) {
        if (this.upkeep)
          this.upkeep.doubt() // several nodes may have been involved
        else this.availability.noteWait(sentAt, OURS.socketTimeout)
        throw this.leaving || wasLost(error) ? this.unavailable() : this.unavailable(error)
      }
      this.answeredAt = performance.now()
      throw this.judge(error, operation)
    }
  }

  /** @throws OrderTimersError REDIS_UNAVAILABLE if there is no connection, and the first attempt at one does not succeed in time */
  async connected(waitMs: number): Promise<void> {
    if (this.ready && !this.quiet.on) return
    this.quiet.end()
    const startedAt = performance.now()
    await within(waitMs, this.opening.once())
    this.availability.noteWait(startedAt, waitMs)
    if (!this.ready) throw this.unavailable()
  }

  /** Closes the connection and opens another, which may lead to another server. Only one at a time, however often it is requested. */
  reconnect(reason: unknown): void {
    if (!this.ready || this.leaving) return
    this.leaving = true
    this.availability.trouble = reason
    this.client.disconnect(true)
  }

  /** Closes the connection for good. */
  close(): void {
    this.opening.close()
    this.obstacles.end()
    this.layout.end()
    this.availability.clearListeners()
    this.doubtListeners.clear()
    this.refusals.stop()
    this.departures.stop()
    this.quiet.stop()
    this.upkeep?.end()
    this.client.disconnect()
  }

  /** The effect of an error reply on the connection. @returns the error to throw */
  private judge(error: Error, operation: Pick<Operation, 'what' | 'partition'> | undefined): Error {
    if (this.topology !== 'server') noteOfCluster(error)
    const fault = replyFault(error)
    if (fault === 'REDIS_UNAVAILABLE') {
      if (this.ready && this.topology !== 'cluster' && !isMoving(error)) {
        this.availability.down(error)
        this.obstacles.whileBusy()
      }
      return this.unavailable(error)
    }
    this.up()
    if (fault === 'REDIS_REFUSES') {
      if (operation) this.refusals.note(operation, error)
      return error
    }
    if (this.topology !== 'cluster') this.doubtListeners.call(error)
    if (isReplica(error) && this.topology === 'server') this.departures.ask(() => this.reconnect(error))
    return error
  }

  private unavailable(cause: unknown = this.availability.trouble): OrderTimersError {
    return redisError(cause, this.where)
  }

  private up(): void {
    if (this.answering || !this.ready || this.obstacles.isBusy) return
    this.availability.up()
  }

  private lost(): void {
    this.obstacles.end()
    this.layout.end()
    this.availability.down(troubleOf(this.client, this.availability.trouble))
    if (this.leaving) this.availability.reportAgain() // if no connection follows
    this.leaving = false
  }

  /** ioredis gives up if the shop's own connector does. */
  private reopen(): void {
    if (this.opening.again()) this.availability.down(this.availability.trouble)
  }
}
