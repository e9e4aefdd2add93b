// The subscription: one connection of the worker's own, on the literal channels (a least-privilege user may be refused the pattern). It
// subscribes anew after each connection, with a catch and a retry, and says each time that something may have been missed.

import { OrderTimersError } from '../errors.js'
import { RedisConnection } from '../redis/connection.js'
import type { RedisSource } from '../redis/source.js'
import type { Faults } from './faults.js'

const RETRY_MS = 500
const HEARTBEAT_MS = 1_000

export interface SubscriberParts {
  source: RedisSource
  wakeChannel: string
  onWake(): void
  onExpired(key: string): void
  /** After every acknowledged subscription. */
  onSubscribed(): void
  faults: Faults
}

export class Subscriber {
  subscribed = false
  /** When the first attempt to subscribe has ended, one way or the other. */
  readonly attempted: Promise<void>
  private readonly connection: RedisConnection
  private readonly expiredChannel: string
  private retry: NodeJS.Timeout | undefined
  private heartbeat: NodeJS.Timeout | undefined
  private stopped = false
  private endAttempt: () => void = () => {}

  constructor(private readonly parts: SubscriberParts) {
    this.attempted = new Promise((resolve) => {
      this.endAttempt = resolve
    })
    this.connection = new RedisConnection(parts.source, 'express-order-timers:events')
    this.expiredChannel = `__keyevent@${this.connection.client.options.db ?? 0}__:expired`
  }

  start(): void {
    const { client } = this.connection
    this.connection.onUp(() => void this.subscribe())
    this.connection.onDown(() => {
      this.subscribed = false
      this.endAttempt()
    })
    client.on('message', (channel: string, message: string) => {
      if (channel === this.expiredChannel) this.parts.onExpired(message)
      else this.parts.onWake()
    })
    this.connection.open()
    this.heartbeat = setInterval(() => void this.beat(), HEARTBEAT_MS)
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.retry)
    clearInterval(this.heartbeat)
    this.endAttempt()
    this.connection.close()
  }

  private async subscribe(): Promise<void> {
    clearTimeout(this.retry)
    if (this.stopped) return
    try {
      await this.connection.ask((client) => client.subscribe(this.expiredChannel, this.parts.wakeChannel))
      this.subscribed = true
      this.parts.faults.clear('SUBSCRIBE_REFUSED')
      this.parts.onSubscribed()
    } catch (error) {
      if (this.stopped) return
      if (!(error instanceof OrderTimersError)) {
        const message = `Redis refuses to subscribe to ${this.expiredChannel}`
        const remedy = `allow this user the channel (ACL SETUSER … &${this.expiredChannel})`
        this.parts.faults.raise('SUBSCRIBE_REFUSED', { message, remedy, error })
      }
      this.retry = setTimeout(() => void this.subscribe(), RETRY_MS)
    } finally {
      this.endAttempt()
    }
  }

  /** Keeps a command pending at all times, so that silence is noticed: an idle subscriber alone never would. */
  private async beat(): Promise<void> {
    await this.connection.ask((client) => client.ping()).catch(() => {})
  }
}
