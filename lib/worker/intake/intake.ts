// Everything that brings work from Redis to the dispatcher: the alarms on the due index, and the subscription with its listener, the expiry probe,
// the scan for external keys and the server watch. Whenever something may have been missed it wakes the alarms and runs a sweep. With
// `redis: false` a worker has no intake, and its sweep alone settles.

import { SWEEP_REQUEST } from '../../keys.js'
import type { Loop } from '../../loop.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import type { Faults } from '../faults.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'
import type { Sweep } from '../sweep/sweep.js'
import { Alarm } from './alarm.js'
import { reportConnection } from './connection-faults.js'
import { ExpiryProbe } from './expiry-probe.js'
import { ExternalKeys } from './external-keys.js'
import { Listener } from './listener.js'
import { ECONOMY, type Pace, Pulses, USUAL } from './pulses.js'
import { ServerWatch } from './server-watch.js'
import { Subscriber } from './subscriber.js'

/** How many pulses may be missing before an alarm looks by itself. */
const MISSING_PULSES = 2.5

/** How often a subscription that gets no events is renewed, since it may be on another server: where the server is known to publish, and elsewhere. */
const RENEW_EVERY_MS = 10_000
const RENEW_SELDOM_MS = 60_000

export interface IntakeDependencies {
  runtime: Runtime
  redis: RuntimeRedis
  rules: ReadonlyMap<string, BoundRule>
  claims: IndexClaims
  dispatcher: Dispatcher
  faults: Faults
  sweep: Sweep
  /** Whether `notify-keyspace-events` may be changed. */
  configureRedis: boolean
  /** `economy`: few commands while there is nothing to do. */
  idle: 'economy' | undefined
}

export class Intake {
  readonly listener: Listener
  readonly subscriber: Subscriber
  readonly expiryProbe: ExpiryProbe
  readonly externalKeys: ExternalKeys
  readonly pace: Pace
  private readonly pulses: Pulses
  private readonly watch: ServerWatch
  private readonly alarms: ReadonlyMap<string, Alarm>
  private readonly unlisten: (() => void)[] = []
  private renewedAt = Number.NEGATIVE_INFINITY

  constructor(private readonly dependencies: IntakeDependencies) {
    const { runtime, redis, rules, claims, dispatcher, faults, configureRedis } = dependencies
    const { keys, log } = runtime
    const { connection, source } = redis
    const workerId = runtime.identity.token()
    this.pace = dependencies.idle === 'economy' ? ECONOMY : USUAL
    const { everyMs, scans } = this.pace
    this.alarms = new Map(
      [...rules.values()].map((rule) => [rule.kind, new Alarm(rule, claims, dispatcher, connection, MISSING_PULSES * everyMs)]),
    )
    this.listener = new Listener(keys, rules, claims, dispatcher, log, redis.feed)
    this.subscriber = new Subscriber(source, keys.wakeChannel, faults, runtime.meters, everyMs)
    this.watch = new ServerWatch({ connection, faults, configureRedis })
    this.expiryProbe = new ExpiryProbe({
      key: keys.expiryProbe(workerId),
      controlTtlMs: 4 * everyMs,
      isListening: () => this.subscriber.subscribed && connection.fit,
      onResult: (proved) => this.judgeEvents(proved),
    })
    this.externalKeys = new ExternalKeys(keys, [...rules.keys()], connection, workerId)
    this.pulses = new Pulses({
      ...{
        pulse: redis.pulse,
        connection,
        kinds: [...rules.keys()],
        everyMs,
        expiryProbe: this.expiryProbe,
        externalKeys: scans ? this.externalKeys : undefined,
      },
      onHead: (head) => this.alarms.get(head.kind)?.found(claims.untilNextMs(head)),
      onAnswered: () => void claims.retry(),
      onServer: (info) => this.watch.described(info),
    })
  }

  start(): void {
    const { faults, redis } = this.dependencies
    const { connection } = redis
    this.unlisten.push(reportConnection(connection, faults))
    this.unlisten.push(connection.onUp(() => this.handleConnected()))
    this.unlisten.push(connection.onDown(() => this.expiryProbe.forget()))
    this.unlisten.push(connection.refusals.onAccepted(() => this.catchUp()))
    this.watch.start({ onUsable: () => this.handleUsable(), onConfigured: () => void this.prove() })
    connection.open()
    if (connection.ready) this.handleConnected()
    this.subscriber.start({
      onWake: (message) => (message === SWEEP_REQUEST ? this.sweepAsked() : this.wake()),
      onExpired: (key) => this.expiryProbe.takes(key) || this.listener.take(key),
      onSubscribed: () => this.handleSubscribed(),
    })
    this.pulses.start()
    for (const alarm of this.alarms.values()) alarm.start()
  }

  /** Brings no more work. */
  async stop(): Promise<void> {
    for (const unlisten of this.unlisten) unlisten()
    await this.listener.stop()
    this.expiryProbe.stop()
    const alarms = [...this.alarms.values()].map((alarm) => alarm.stop())
    await Promise.all([...alarms, this.pulses.stop(), this.externalKeys.stop(), this.watch.stop()])
    this.subscriber.stop()
  }

  get loops(): Loop[] {
    return [this.pulses.loop, ...[...this.alarms.values()].map(({ loop }) => loop)]
  }

  /** Finds out now whether expiry events arrive. Never rejects. */
  prove(): Promise<void> {
    return this.pulses.prove()
  }

  /** Whether Redis answers now and can serve timers. */
  get connected(): boolean {
    return this.dependencies.redis.connection.serving
  }

  /** Whether expiry events arrive; undefined where neither is proved as things are now. */
  get events(): boolean | undefined {
    const { refusals, serving } = this.dependencies.redis.connection
    return serving && this.subscriber.subscribed && !refusals.present ? this.expiryProbe.proved : undefined
  }

  private wake(): void {
    for (const alarm of this.alarms.values()) alarm.wake()
  }

  /** By a person, such as one who has released a rule. */
  private sweepAsked(): void {
    this.dependencies.dispatcher.endRest()
    void this.dependencies.sweep.run()
  }

  /** Something may have been missed. What Redis does not know is on the rows. */
  private catchUp(): void {
    this.wake()
    void this.dependencies.sweep.run()
  }

  private handleSubscribed(): void {
    this.catchUp()
    void this.prove()
  }

  private handleConnected(): void {
    this.expiryProbe.forget()
    if (this.dependencies.redis.connection.fit) this.resume()
    void this.watch.look()
  }

  /** The subscription may still be on the server that could not serve. */
  private handleUsable(): void {
    this.subscriber.renew()
    this.expiryProbe.forget()
    this.resume()
  }

  private resume(): void {
    void this.dependencies.redis.index.load()
    this.catchUp()
  }

  private judgeEvents(proved: boolean): void {
    const { faults, redis } = this.dependencies
    if (proved) {
      faults.clear('EVENTS_OFF')
      return
    }
    const message = `a test key expired in Redis at ${redis.connection.where} and its event did not arrive`
    if (!faults.has('EVENTS_OFF'))
      faults.raise('EVENTS_OFF', { message, remedy: 'are at least these flags in redis.conf? notify-keyspace-events Ex' })
    void this.watch.look()
    if (this.watch.publishes !== false) this.renewSubscription()
  }

  /** The events may be published by another server than the one that is subscribed to. */
  private renewSubscription(): void {
    const now = performance.now()
    if (now - this.renewedAt < (this.watch.publishes ? RENEW_EVERY_MS : RENEW_SELDOM_MS)) return
    this.renewedAt = now
    this.subscriber.renew()
  }
}
