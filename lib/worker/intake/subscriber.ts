// The subscription to expiry events, wakes and keys that get a TTL, on a separate connection. It uses the literal channels, because a least-privilege user
// may be refused the pattern, and subscribes to each separately, so that one refusal does not affect the others. It subscribes after every
// connection, retries, and calls `onSubscribed` each time, because something may have been missed.

import { errorText } from '../../error-text.js'
import { OrderTimersError } from '../../errors.js'
import type { Log } from '../../logger.js'
import type { Meters } from '../../meters.js'
import { RedisConnection } from '../../redis/connection.js'
import type { RedisSource } from '../../redis/single-source.js'
import type { ServerFaults } from '../faults.js'

const RETRY_MS = 500
const HEARTBEAT_MS = 1_000

/** After this time without a message the connection gets a PING. Usually the expiry probe's event arrives with each pulse. */
const QUIET_PULSES = 2

export interface SubscriberListeners {
  onWake(message: string): void
  onExpired(key: string): void
  /** A key got a TTL. */
  onTtl(key: string): void
  /** After every acknowledged subscription: messages before it may have been missed. */
  onSubscribed(): void
}

interface Channel {
  readonly name: string
  /** What does not work without the channel, and what still does. */
  readonly without: string
  subscribed: boolean
}

export class Subscriber {
  /** Resolves when the first attempt to subscribe has ended, whether it succeeded or not. */
  readonly attempted: Promise<void>
  private readonly connection: RedisConnection
  private readonly expired: Channel
  private readonly wake: Channel
  /** Where Redis publishes each key that gets a TTL, with flag g. It is optional. */
  private readonly ttl: { readonly name: string; subscribed: boolean }
  private retry: NodeJS.Timeout | undefined
  private heartbeat: NodeJS.Timeout | undefined
  private stopped = false
  /** When the last message or answer arrived. */
  private heardAt = 0
  private endAttempt: () => void = () => {}

  constructor(
    private readonly source: RedisSource,
    wakeChannel: string,
    private readonly faults: ServerFaults,
    private readonly meters: Pick<Meters, 'subscriptionResets'>,
    private readonly pulseMs: number,
    private readonly log: Log,
  ) {
    this.attempted = new Promise((resolve) => {
      this.endAttempt = resolve
    })
    this.connection = new RedisConnection(source, 'express-order-timers:events')
    this.expired = {
      name: `__keyevent@${source.db}__:expired`,
      without: 'keys that other services set are served only as far as a scan finds them in time; timers and the sweep still work',
      subscribed: false,
    }
    this.wake = {
      name: wakeChannel,
      without: 'a timer that becomes the first to be due may be a second late; events and the sweep still work',
      subscribed: false,
    }
    this.ttl = { name: `__keyevent@${source.db}__:expire`, subscribed: false }
  }

  /** Whether it is subscribed to expiry events. */
  get subscribed(): boolean {
    return this.expired.subscribed
  }

  /** Whether it is subscribed to wakes. */
  get hearsWakes(): boolean {
    return this.wake.subscribed
  }

  start(listeners: SubscriberListeners): void {
    const { client } = this.connection
    this.connection.onUp(() => {
      void this.subscribeToTtls() // first, so that it has been tried when `attempted` resolves
      void this.subscribe(listeners)
    })
    this.connection.onDown(() => {
      if (this.channels.some(({ subscribed }) => subscribed)) this.meters.subscriptionResets += 1
      for (const channel of [...this.channels, this.ttl]) channel.subscribed = false
      this.endAttempt()
    })
    client.on('message', (channel: string, message: string) => {
      this.heardAt = performance.now()
      if (channel === this.ttl.name) listeners.onTtl(message)
      else if (channel === this.expired.name) listeners.onExpired(message)
      else listeners.onWake(message)
    })
    this.connection.open()
    this.heartbeat = setInterval(() => void this.beat(), HEARTBEAT_MS)
  }

  /** Subscribes on a new connection, because the address may lead to another server by now. */
  renew(): void {
    this.connection.reconnect(new Error('the subscription is renewed'))
  }

  /**
   * Without a flag g there are no messages, so the setting need not be known, and may change. A refusal is no fault, since a scan finds the keys: it is
   * not retried before the next connection or call.
   */
  async subscribeToTtls(): Promise<void> {
    const { connection, source, ttl } = this
    if (ttl.subscribed || !connection.ready) return
    try {
      await connection.ask((client) => client.subscribe(ttl.name))
      ttl.subscribed = true
    } catch (error) {
      if (error instanceof OrderTimersError || this.stopped) return
      const message = `Redis at ${source.describe()} refuses to subscribe to ${ttl.name}; keys that other services set are found by scans alone`
      this.log('debug', message, { channel: ttl.name, error: errorText(error) })
    }
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

  private async subscribe(listeners: SubscriberListeners): Promise<void> {
    clearTimeout(this.retry)
    if (this.stopped) return
    const missing = this.channels.filter(({ subscribed }) => !subscribed)
    const subscribed = await Promise.all(missing.map((channel) => this.subscribeTo(channel)))
    this.endAttempt()
    if (this.stopped) return
    if (subscribed.includes(true)) listeners.onSubscribed()
    clearTimeout(this.retry)
    if (subscribed.includes(false)) this.retry = setTimeout(() => void this.subscribe(listeners), RETRY_MS)
  }

  private async subscribeTo(channel: Channel): Promise<boolean> {
    const { faults, source } = this
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

  /** A command that goes unanswered shows a silent connection; an idle subscriber alone would never notice one. */
  private async beat(): Promise<void> {
    if (performance.now() - this.heardAt < QUIET_PULSES * this.pulseMs) return
    await this.connection.ask((client) => client.ping()).catch(() => {})
    this.heardAt = performance.now()
  }
}
