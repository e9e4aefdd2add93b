// One connection of our own to Redis. It never gives up reconnecting, never queues, never rejects unhandled, and never lets anybody
// wait for longer than they said; a command that timed out may still be carried out, so every command must be safe to repeat.

import type { Redis } from 'ioredis'
import type { OrderTimersError } from '../errors.js'
import { within } from '../wait.js'
import { Obstacles } from './obstacles.js'
import { OURS } from './own-options.js'
import { Pace } from './pace.js'
import { type Operation, Refusals } from './refusals.js'
import { isReplica, isReply, replyFault, replyWord } from './replies.js'
import type { RedisSource } from './source.js'
import { explain, redisError } from './trouble.js'

/** How long until a client that ended by itself is opened again. */
const REOPEN_EVERY_MS = 500

/** How much longer than it may a wait takes where this process stood still meanwhile (SIGSTOP, a blocked event loop). */
const STOOD_STILL_MS = 750

/** For how long after that silence proves nothing. */
const DOUBT_MS = 1_000

export class RedisConnection {
  readonly client: Redis
  /** Which Redis it is, for messages. */
  readonly where: string
  /** Writes that Redis refuses. */
  readonly refusals = new Refusals()
  /** False from the first unanswered command or lost connection until Redis answers again. */
  answering = false
  /** False from the moment that the server turned out to be unable to serve timers (a replica, a cluster node). The worker's server watch sets it. */
  fit = true
  /** Of `performance.now()`: when Redis last answered to `ask`. */
  answeredAt = 0
  private firstAttempt: Promise<void> | undefined
  private trouble: unknown
  /** What was told of it when it stopped answering: a fault's code, and the word of Redis's answer where there is one. */
  private reported: string | undefined
  private stoodStillAt = Number.NEGATIVE_INFINITY
  /** Being closed to be made anew; the client itself says `ready` until its socket has closed. */
  leaving = false
  /** A replica is left for whoever the address leads to now. */
  private readonly departures = new Pace()
  private readonly obstacles: Obstacles
  private reopening: NodeJS.Timeout | undefined
  private closed = false
  private readonly upListeners = new Set<() => void>()
  private readonly downListeners = new Set<(error: unknown) => void>()
  private readonly doubtListeners = new Set<(error: Error) => void>()

  constructor(source: RedisSource, name: string) {
    this.client = source.create(name)
    this.where = source.describe()
    this.obstacles = new Obstacles(this.client, () => this.up())
    this.client.on('error', (error) => {
      this.trouble = error
      if ((error as { command?: { name?: string } }).command?.name === 'select') this.obstacles.untilSelected(source.db)
    })
    this.client.on('connect', () => this.obstacles.whileNotReady((error) => this.down(error)))
    this.client.on('ready', () => this.up())
    this.client.on('close', () => {
      this.obstacles.end()
      this.down(this.trouble)
      if (this.leaving) this.reported = undefined // to be told if no connection follows
      this.leaving = false
    })
    this.client.on('end', () => this.reopen())
  }

  get ready(): boolean {
    return this.client.status === 'ready' && !this.obstacles.isInWrongDb
  }

  /** Whether it is connected to a server that can serve timers. A command may go unanswered all the same: see `serving`. */
  get usable(): boolean {
    return this.ready && this.fit
  }

  /** Whether it is connected to a server that can serve timers, and the last command was answered. */
  get serving(): boolean {
    return this.usable && this.answering
  }

  /** Opens the connection, once. Never rejects: trouble shows in `run` and through `onDown`. */
  open(): void {
    if (this.firstAttempt) return
    this.firstAttempt = new Promise((resolve) => {
      this.client.once('ready', () => resolve())
      this.client.once('close', () => resolve())
    })
    this.client.connect().catch((error) => {
      this.trouble ??= error // what the `error` event said is the reason, this only that there is no connection
    })
  }

  /** Called after each (re)connection. */
  onUp(listener: () => void): () => void {
    this.upListeners.add(listener)
    return () => this.upListeners.delete(listener)
  }

  /** Whether this process stood still until a moment ago, and may have been what was silent. */
  get justWoke(): boolean {
    return performance.now() - this.stoodStillAt < DOUBT_MS
  }

  /** Called when Redis stops answering, and when it is for another reason; at once, where it does not answer already. */
  onDown(listener: (error: unknown) => void): () => void {
    this.downListeners.add(listener)
    if (this.reported) listener(this.trouble)
    return () => this.downListeners.delete(listener)
  }

  /** Called when an answer says that this is not a server that can serve (READONLY, MOVED …). */
  onDoubt(listener: (error: Error) => void): () => void {
    this.doubtListeners.add(listener)
    return () => this.doubtListeners.delete(listener)
  }

  /**
   * For requests.
   * @param patienceMs how long to wait for the answer; not at all where Redis is known not to answer
   * @param operation what the command does, where its refusal is to be noted
   * @throws OrderTimersError REDIS_UNAVAILABLE without an answer in time; what Redis itself answers as an error passes through
   */
  async run<T>(patienceMs: number, command: (client: Redis) => Promise<T>, operation?: Operation<T>): Promise<T> {
    const startedAt = performance.now()
    await this.connected(patienceMs)
    const answer = this.ask(command, operation).then(
      (value) => ({ value }),
      (error) => ({ error }),
    )
    const wait = this.answering ? patienceMs - (performance.now() - startedAt) : 0
    const result = await within(Math.max(0, wait), answer)
    if (result === undefined) {
      this.down(new Error(`no answer in ${patienceMs} ms`))
      throw this.unavailable(this.trouble)
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
    if (!this.ready) throw this.unavailable(this.trouble)
    const sentAt = performance.now()
    try {
      const value = await command(this.client)
      this.answeredAt = performance.now()
      this.up()
      if (operation) this.refusals.accept(operation.what, operation.proves(value))
      return value
    } catch (error) {
      if (!isReply(error)) {
        this.noteStandstill(sentAt, OURS.socketTimeout)
        throw this.unavailable(this.leaving ? this.trouble : error)
      }
      this.answeredAt = performance.now()
      throw this.judge(error, operation?.what)
    }
  }

  /** @throws OrderTimersError REDIS_UNAVAILABLE where there is no connection, and none comes at the first attempt within the time */
  async connected(patienceMs: number): Promise<void> {
    if (this.ready) return
    this.open()
    const startedAt = performance.now()
    await within(patienceMs, this.firstAttempt as Promise<void>)
    this.noteStandstill(startedAt, patienceMs)
    if (!this.ready) throw this.unavailable(this.trouble)
  }

  /** Makes the connection anew: the address or the Sentinels may lead to another server by now. Once for each time, however many ask for it. */
  reconnect(reason: unknown): void {
    if (!this.ready || this.leaving) return
    this.leaving = true
    this.trouble = reason
    this.client.disconnect(true)
  }

  /** Closes the connection for good. */
  close(): void {
    this.closed = true
    clearTimeout(this.reopening)
    this.obstacles.end()
    this.upListeners.clear()
    this.downListeners.clear()
    this.doubtListeners.clear()
    this.refusals.stop()
    this.departures.stop()
    this.client.disconnect()
  }

  /** What an error that Redis answered means for the connection. @returns what is to be thrown */
  private judge(error: Error, what: string | undefined): Error {
    const fault = replyFault(error)
    if (fault === 'REDIS_UNAVAILABLE') {
      if (this.ready) {
        this.down(error)
        this.obstacles.whileBusy()
      }
      return this.unavailable(error)
    }
    this.up()
    if (fault === 'REDIS_REFUSES') {
      if (what !== undefined) this.refusals.note(what, error)
      return error
    }
    for (const listener of this.doubtListeners) listener(error)
    if (isReplica(error)) this.departures.ask(() => this.reconnect(error))
    return error
  }

  private unavailable(cause: unknown): OrderTimersError {
    return redisError(cause, this.where)
  }

  /** A wait that took far longer than it may says that this process did not run meanwhile. */
  private noteStandstill(startedAt: number, mostMs: number): void {
    if (performance.now() - startedAt > mostMs + STOOD_STILL_MS) this.stoodStillAt = performance.now()
  }

  /** A connector of the shop's may give up, and then ioredis does. */
  private reopen(): void {
    if (this.closed) return
    this.down(this.trouble)
    this.reopening = setTimeout(() => {
      this.client.connect().catch((error) => {
        this.trouble ??= error
      })
    }, REOPEN_EVERY_MS).unref()
  }

  private up(): void {
    if (this.answering || !this.ready || this.obstacles.isBusy) return
    this.answering = true
    this.reported = undefined
    this.trouble = undefined
    for (const listener of this.upListeners) listener()
  }

  private down(error: unknown): void {
    this.trouble = error
    const reason = `${explain(error, this.where).code} ${isReply(error) ? replyWord(error) : ''}`
    if (this.reported === reason) return
    this.answering = false
    this.reported = reason
    for (const listener of this.downListeners) listener(error)
  }
}
