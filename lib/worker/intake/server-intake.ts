// A worker's parts for each server that publishes expiry events: the subscription, the expiry probe, the scan for external keys, the server watch,
// and pulses, which carry the probe and the scan. A single Redis is one such server; in a cluster each primary is one.

import type { Keys } from '../../keys.js'
import type { Log } from '../../logger.js'
import type { Loop } from '../../loop.js'
import type { Meters } from '../../meters.js'
import type { RedisConnection } from '../../redis/connection.js'
import type { Head, Pulse } from '../../redis/pulse.js'
import type { RedisSource } from '../../redis/single-source.js'
import type { ServerFaults } from '../faults.js'
import { reportConnection } from './connection-faults.js'
import { ExpiryProbe } from './expiry-probe.js'
import { ExternalKeys, type ExternalKeysDependencies } from './external-keys.js'
import { type Pace, Pulses } from './pulses.js'
import { ServerWatch } from './server-watch.js'
import { Subscriber } from './subscriber.js'

/** How often a subscription without events is renewed, since it may be on another server: if the server is known to publish, and otherwise. */
const RENEW_EVERY_MS = 10_000
const RENEW_SELDOM_MS = 60_000

export interface ServerIntakeDependencies {
  /** For commands. */
  connection: RedisConnection
  /** For the subscription. */
  source: RedisSource
  pulse: Pulse
  keys: Keys
  workerId: string
  /** In a cluster, a hash tag whose slot this node serves now. */
  tag: (() => string) | undefined
  /** Filters found keys that are not in the index, if the scan itself cannot check that. */
  unindexed: ExternalKeysDependencies['unindexed']
  /** The rules whose external keys are scanned for, and whose indexes the pulses read. */
  kinds: readonly string[]
  /** The partition of the index that the pulses read. In a cluster the tag is that of this partition; undefined on a node without one. */
  partition(): number | undefined
  /** How often a pulse is sent, and whether the keyspace is scanned. */
  pace: Pick<Pace, 'everyMs' | 'scans'>
  faults: ServerFaults
  meters: Pick<Meters, 'subscriptionResets'>
  log: Log
  /** Whether `notify-keyspace-events` may be changed. */
  configureRedis: boolean
}

export interface ServerIntakeListeners {
  onWake(message: string): void
  onExpired(key: string): void
  onHead(head: Head): void
  /** A pulse that read this partition was answered. */
  onAnswered(partition: number): void
  /** Messages may have been missed. */
  onMissed(): void
  /** It can serve again, or is connected again. */
  onServing(): void
}

export class ServerIntake {
  readonly subscriber: Subscriber
  readonly expiryProbe: ExpiryProbe
  readonly externalKeys: ExternalKeys
  private readonly pulses: Pulses
  private readonly watch: ServerWatch
  private readonly unlisten: (() => void)[] = []
  private renewedAt = Number.NEGATIVE_INFINITY

  constructor(
    private readonly dependencies: ServerIntakeDependencies,
    private readonly listeners: ServerIntakeListeners,
  ) {
    const { connection, source, pulse, keys, workerId, tag, unindexed, kinds, partition, pace, faults, meters, log, configureRedis } =
      dependencies
    const { everyMs, scans } = pace
    this.subscriber = new Subscriber(source, keys.wakeChannel, faults, meters, everyMs, log)
    this.watch = new ServerWatch({ connection, faults, configureRedis })
    this.expiryProbe = new ExpiryProbe({
      key: () => (tag ? keys.expiryProbeOn(tag(), workerId) : keys.expiryProbe(workerId)),
      controlTtlMs: 4 * everyMs,
      isListening: () => this.subscriber.subscribed && connection.fit,
      onResult: (proved) => this.judgeEvents(proved),
    })
    this.externalKeys = new ExternalKeys({
      ...{ keys, kinds, connection, workerId, unindexed, scans, faults },
      hearing: {
        isDeaf: () => this.isDeaf,
        onExpired: listeners.onExpired,
      },
      lock: () => (tag ? keys.scannerLockOn(tag()) : keys.scannerLock),
    })
    this.pulses = new Pulses({
      ...{ pulse, connection, kinds, partition, everyMs, expiryProbe: this.expiryProbe },
      externalKeys: scans ? this.externalKeys : undefined,
      onHead: (head) => listeners.onHead(head),
      onAnswered: (answered) => listeners.onAnswered(answered),
      onServer: (info) => this.watch.described(info),
    })
  }

  start(): void {
    const { connection, faults } = this.dependencies
    const { onMissed, onWake, onExpired } = this.listeners
    this.unlisten.push(reportConnection(connection, faults))
    this.unlisten.push(connection.onUp(() => this.handleConnected()))
    this.unlisten.push(connection.onDown(() => this.expiryProbe.forget()))
    this.unlisten.push(connection.refusals.onAccepted(onMissed))
    this.watch.start({
      onUsable: () => this.handleUsable(),
      onConfigured: () => void this.prove(),
      onPublishesTtls: () => void this.subscriber.subscribeToTtls(),
    })
    connection.open()
    if (connection.ready) this.handleConnected()
    this.subscriber.start({
      onWake,
      onExpired: (key) => this.expiryProbe.takes(key) || onExpired(key),
      onTtl: (key) => this.externalKeys.gotTtl(key),
      onSubscribed: () => this.handleSubscribed(),
    })
    this.pulses.start()
  }

  /** Ends the subscription, and sends nothing more. */
  async stop(): Promise<void> {
    for (const unlisten of this.unlisten) unlisten()
    this.expiryProbe.stop()
    await Promise.all([this.pulses.stop(), this.externalKeys.stop(), this.watch.stop()])
    this.subscriber.stop()
  }

  get loop(): Loop {
    return this.pulses.loop
  }

  /** Finds out now whether expiry events arrive. Never rejects. */
  prove(): Promise<void> {
    return this.pulses.prove()
  }

  /** Whether it answers now and can serve timers. */
  get serving(): boolean {
    return this.dependencies.connection.serving
  }

  /** Whether expiry events arrive; undefined while unknown. */
  get events(): boolean | undefined {
    const { refusals, serving } = this.dependencies.connection
    return serving && this.subscriber.subscribed && !refusals.present ? this.expiryProbe.proved : undefined
  }

  /** Whether expiry events do not arrive; undefined while unknown. */
  private get isDeaf(): boolean | undefined {
    if (!this.subscriber.subscribed) return true
    return this.expiryProbe.proved === undefined ? undefined : !this.expiryProbe.proved
  }

  private handleSubscribed(): void {
    this.listeners.onMissed()
    void this.prove()
  }

  private handleConnected(): void {
    this.expiryProbe.forget()
    if (this.dependencies.connection.fit) {
      this.listeners.onServing()
      if (this.subscriber.subscribed) void this.prove() // if the subscription stayed, nothing else would do this before the next pulses
    }
    void this.watch.look()
  }

  /** The subscription may still be on the server that could not serve. */
  private handleUsable(): void {
    this.subscriber.renew()
    this.expiryProbe.forget()
    this.listeners.onServing()
  }

  private judgeEvents(proved: boolean): void {
    const { connection, faults } = this.dependencies
    if (proved) {
      faults.clear('EVENTS_OFF')
      return
    }
    const message = `a test key expired in Redis at ${connection.where} and its event did not arrive`
    if (!faults.has('EVENTS_OFF'))
      faults.raise('EVENTS_OFF', { message, remedy: 'set at least these flags in redis.conf: notify-keyspace-events Ex' })
    void this.watch.look()
    if (this.watch.publishes !== false) this.renewSubscription()
  }

  /** The subscription may be on another server than the one that publishes the events. */
  private renewSubscription(): void {
    const now = performance.now()
    if (now - this.renewedAt < (this.watch.publishes ? RENEW_EVERY_MS : RENEW_SELDOM_MS)) return
    this.renewedAt = now
    this.subscriber.renew()
  }
}
