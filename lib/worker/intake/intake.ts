// The worker's Redis side put together: the alarms, the subscription and its listener, the expiry probe, the scan for keys set by others, and
// the watch over the server. Without it (`redis: false`) the worker is its sweep alone.

import { randomUUID } from 'node:crypto'
import { errorText } from '../../error-text.js'
import { SWEEP_REQUEST } from '../../keys.js'
import { isReply } from '../../redis/replies.js'
import { explain } from '../../redis/trouble.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import type { Faults } from '../faults.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'
import type { Sweep } from '../sweep/sweep.js'
import { Alarm } from './alarm.js'
import { ExpiryProbe } from './expiry-probe.js'
import { ExternalKeys } from './external-keys.js'
import { Listener } from './listener.js'
import { reportRefusedWrites } from './refused-writes.js'
import { REDIS_CONF, ServerWatch } from './server-watch.js'
import { Subscriber } from './subscriber.js'

const HEARTBEAT_MS = 1_000

/** How often a subscription that hears nothing is made anew, since it may be on another server: where this one is set to publish, and where that is not known. */
const RENEW_EVERY_MS = 10_000
const RENEW_SELDOM_MS = 60_000

/** Why there may be no connection: nobody answers, or nobody is let in. */
const UNCONNECTED = ['REDIS_UNAVAILABLE', 'REDIS_REFUSES'] as const

export interface IntakeDependencies {
  runtime: Runtime
  redis: RuntimeRedis
  rules: ReadonlyMap<string, BoundRule>
  claims: IndexClaims
  dispatcher: Dispatcher
  faults: Faults
  configureRedis: boolean
  /** Run whenever something may have been missed. */
  sweep: Sweep
}

export class Intake {
  readonly listener: Listener
  readonly subscriber: Subscriber
  readonly expiryProbe: ExpiryProbe
  readonly externalKeys: ExternalKeys
  private readonly watch: ServerWatch
  private readonly alarms: Alarm[]
  private readonly unlisten: (() => void)[] = []
  private heartbeat: NodeJS.Timeout | undefined
  private renewedAt = Number.NEGATIVE_INFINITY

  constructor(private readonly dependencies: IntakeDependencies) {
    const { runtime, redis, rules, claims, dispatcher, faults } = dependencies
    const { keys, log } = runtime
    const workerId = randomUUID()
    this.alarms = [...rules.values()].map((rule) => new Alarm(rule, claims, dispatcher, () => this.answering()))
    this.listener = new Listener(keys, rules, claims, dispatcher, log)
    this.subscriber = new Subscriber({
      source: redis.source,
      wakeChannel: keys.wakeChannel,
      onWake: (message) => (message === SWEEP_REQUEST ? void dependencies.sweep.run() : this.wake()),
      onExpired: (key) => this.expiryProbe.takes(key) || this.listener.take(key),
      onSubscribed: () => this.subscribedAgain(),
      faults,
    })
    this.expiryProbe = new ExpiryProbe(
      keys.expiryProbe(workerId),
      redis.connection,
      () => this.subscriber.subscribed && this.watch.usable,
      (proved) => this.judge(proved),
    )
    this.watch = new ServerWatch({
      ...{ connection: redis.connection, faults, configureRedis: dependencies.configureRedis },
      onUsable: () => this.usableAgain(),
      onConfigured: () => void this.expiryProbe.send(),
    })
    this.externalKeys = new ExternalKeys(keys, [...rules.keys()], redis.connection, workerId, () => this.answering())
  }

  start(): void {
    const { connection } = this.dependencies.redis
    this.unlisten.push(connection.onUp(() => this.connectedAgain()))
    this.unlisten.push(connection.onDown((error) => this.lost(error)))
    this.unlisten.push(reportRefusedWrites(connection, this.dependencies.faults))
    this.unlisten.push(connection.refusals.onAccepted(() => this.missed()))
    this.watch.start()
    connection.open()
    if (connection.ready) this.connectedAgain()
    this.heartbeat = setInterval(() => void this.beat(), HEARTBEAT_MS)
    this.subscriber.start()
    this.expiryProbe.start()
    this.externalKeys.start()
    for (const alarm of this.alarms) alarm.start()
  }

  /** Takes nothing in hand any more. */
  async stop(): Promise<void> {
    clearInterval(this.heartbeat)
    for (const unlisten of this.unlisten) unlisten()
    await this.listener.stop()
    await Promise.all([...this.alarms.map((alarm) => alarm.stop()), this.externalKeys.stop(), this.expiryProbe.stop(), this.watch.stop()])
    this.subscriber.stop()
  }

  answering(): boolean {
    return this.dependencies.redis.connection.usable
  }

  /** Whether Redis answers now, and can serve. */
  get connected(): boolean {
    return this.dependencies.redis.connection.serving
  }

  /** Whether expiry events arrive; undefined where there is no proof of either as things are now. */
  get events(): boolean | undefined {
    const { refusals } = this.dependencies.redis.connection
    return this.connected && this.subscriber.subscribed && !refusals.present ? this.expiryProbe.proved : undefined
  }

  wake(): void {
    for (const alarm of this.alarms) alarm.wake()
  }

  /** Where nothing else was asked, so that silence is noticed. */
  private async beat(): Promise<void> {
    const { connection } = this.dependencies.redis
    if (performance.now() - connection.answeredAt < HEARTBEAT_MS / 2) return
    await connection.ask((client) => client.ping()).catch(() => {})
  }

  private subscribedAgain(): void {
    this.wake()
    void this.dependencies.sweep.run()
    void this.expiryProbe.send()
  }

  private connectedAgain(): void {
    this.dependencies.faults.clear('REDIS_UNAVAILABLE')
    if (!this.dependencies.redis.connection.refusals.present) this.dependencies.faults.clear('REDIS_REFUSES')
    this.expiryProbe.forget()
    if (this.watch.usable) this.resume()
    void this.watch.look()
  }

  /** The subscription may be on the server that could not serve. */
  private usableAgain(): void {
    this.subscriber.renew()
    this.expiryProbe.forget()
    this.resume()
  }

  private resume(): void {
    void this.dependencies.redis.index.load()
    this.wake()
    void this.dependencies.sweep.run()
  }

  private lost(error: unknown): void {
    this.expiryProbe.forget()
    const { faults, redis } = this.dependencies
    const { where, leaving, refusals } = redis.connection
    if (leaving) return
    const { code, remedy } = explain(error, where)
    const message = `Redis at ${where} ${isReply(error) ? `serves nothing (${errorText(error)})` : 'does not answer'}`
    for (const other of UNCONNECTED) if (other !== code && !(other === 'REDIS_REFUSES' && refusals.present)) faults.clear(other)
    faults.raise(code, { message: `${message}; the sweep over Postgres carries on`, error, remedy })
  }

  /** What Redis did not take meanwhile is on the rows. */
  private missed(): void {
    this.wake()
    void this.dependencies.sweep.run()
  }

  private judge(proved: boolean): void {
    const { faults } = this.dependencies
    if (proved) {
      faults.clear('EVENTS_OFF')
      return
    }
    const message = `a key of our own expired in Redis at ${this.dependencies.redis.connection.where} and its event did not come`
    if (!faults.has('EVENTS_OFF')) faults.raise('EVENTS_OFF', { message, remedy: `is this in redis.conf? ${REDIS_CONF}` })
    void this.watch.look()
    const now = performance.now()
    if (this.watch.publishes === false) return
    if (now - this.renewedAt < (this.watch.publishes ? RENEW_EVERY_MS : RENEW_SELDOM_MS)) return
    this.renewedAt = now
    this.subscriber.renew()
  }
}
