// The subscription: one connection of the worker's own, on the literal channels (a least-privilege user may be refused the pattern), each
// channel by itself, so that one that is refused costs not the other. It subscribes after each connection, with a catch and a retry, and says
// each time that something may have been missed.

import { OrderTimersError } from '../../errors.js'
import { RedisConnection } from '../../redis/connection.js'
import type { RedisSource } from '../../redis/source.js'
import type { Faults } from '../faults.js'

const RETRY_MS = 500
const HEARTBEAT_MS = 1_000

export interface SubscriberDependencies {
  source: RedisSource
  wakeChannel: string
  onWake(message: string): void
  onExpired(key: string): void
  /** After every acknowledged subscription. */
  onSubscribed(): void
  faults: Faults
}

interface Channel {
  readonly name: string
  /** What does not work without it, and what does. */
  readonly without: string
  subscribed: boolean
}

export class Subscriber {
  /** When the first attempt to subscribe has ended, one way or the other. */
  readonly attempted: Promise<void>
  private readonly connection: RedisConnection
  private readonly expired: Channel
  private readonly wake: Channel
  private retry: NodeJS.Timeout | undefined
  private heartbeat: NodeJS.Timeout | undefined
  private stopped = false
  private endAttempt: () => void = () => {}

  constructor(private readonly dependencies: SubscriberDependencies) {
    this.attempted = new Promise((resolve) => {
      this.endAttempt = resolve
    })
    this.connection = new RedisConnection(dependencies.source, 'express-order-timers:events')
    this.expired = {
      name: `__keyevent@${dependencies.source.db}__:expired`,
      without: 'keys that others set are not served, and timers and the sweep go on',
      subscribed: false,
    }
    this.wake = {
      name: dependencies.wakeChannel,
      without: 'a timer that is armed to be due before all others may be a second late, and events and the sweep go on',
      subscribed: false,
    }
  }

  /** Whether expiry events are subscribed to. */
  get subscribed(): boolean {
    return this.expired.subscribed
  }

  start(): void {
    const { client } = this.connection
    this.connection.onUp(() => void this.subscribe())
    this.connection.onDown(() => {
      for (const channel of this.channels) channel.subscribed = false
      this.endAttempt()
    })
    client.on('message', (channel: string, message: string) => {
      if (channel === this.expired.name) this.dependencies.onExpired(message)
      else this.dependencies.onWake(message)
    })
    this.connection.open()
    this.heartbeat = setInterval(() => void this.beat(), HEARTBEAT_MS)
  }

  /** Subscribes on a new connection: the address may lead to another server than it did. */
  renew(): void {
    this.connection.reconnect(new Error('to subscribe where the timers are'))
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.retry)
    clearInterval(this.heartbeat)
    this.endAttempt()
    this.connection.close()
  }

  private get channels(): Channel[] {
    return [this.expired, this.wake]
  }

  private async subscribe(): Promise<void> {
    clearTimeout(this.retry)
    if (this.stopped) return
    const missing = this.channels.filter(({ subscribed }) => !subscribed)
    const subscribed = await Promise.all(missing.map((channel) => this.subscribeTo(channel)))
    this.endAttempt()
    if (this.stopped) return
    if (subscribed.includes(true)) this.dependencies.onSubscribed()
    clearTimeout(this.retry)
    if (subscribed.includes(false)) this.retry = setTimeout(() => void this.subscribe(), RETRY_MS)
  }

  private async subscribeTo(channel: Channel): Promise<boolean> {
    const { faults, source } = this.dependencies
    const { name, without } = channel
    try {
      await this.connection.ask((client) => client.subscribe(name))
      channel.subscribed = true
      faults.clear('SUBSCRIBE_REFUSED', name)
      return true
    } catch (error) {
      if (this.stopped || error instanceof OrderTimersError) return false
      const message = `Redis at ${source.describe()} refuses to subscribe to ${name}; ${without}`
      faults.raise('SUBSCRIBE_REFUSED', { channel: name, message, remedy: `allow this user the channel (ACL SETUSER … &${name})`, error })
      return false
    }
  }

  /** Keeps a command pending at all times, so that silence is noticed: an idle subscriber alone never would. */
  private async beat(): Promise<void> {
    await this.connection.ask((client) => client.ping()).catch(() => {})
  }
}
