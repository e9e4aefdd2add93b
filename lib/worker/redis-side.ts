// The worker's Redis side put together: the alarms, the subscription and its listener, the canary, the scan for keys set by others; and
// the checks of what kind of Redis it is. Without it (`redis: false`) the worker is its sweep alone.

import { randomUUID } from 'node:crypto'
import { OrderTimersError } from '../errors.js'
import { SWEEP_REQUEST } from '../keys.js'
import { assertUsable, enableExpiryEvents, publishesExpiry, readSettings } from '../redis/server.js'
import type { BoundRule } from '../rules/rule.js'
import type { RedisParts, Runtime } from '../runtime.js'
import { Alarm } from './alarm.js'
import { Canary } from './canary.js'
import type { IndexClaims } from './claims.js'
import type { Dispatcher } from './dispatcher.js'
import type { Faults } from './faults.js'
import { ForeignKeys } from './foreign-keys.js'
import { Listener } from './listener.js'
import { tellRefusedWrites } from './refused-writes.js'
import { Subscriber } from './subscriber.js'

const HEARTBEAT_MS = 1_000
const REDIS_CONF = 'notify-keyspace-events Ex'

export interface RedisSideParts {
  runtime: Runtime
  redis: RedisParts
  rules: ReadonlyMap<string, BoundRule>
  claims: IndexClaims
  dispatcher: Dispatcher
  faults: Faults
  configureRedis: boolean
  /** Something may have been missed. */
  catchUp(): void
}

export class RedisSide {
  readonly listener: Listener
  readonly subscriber: Subscriber
  readonly canary: Canary
  readonly foreignKeys: ForeignKeys
  /** False from the moment that this turned out to be a Redis that cannot serve. */
  usable = true
  private readonly alarms: Alarm[]
  private readonly unlisten: (() => void)[] = []
  private heartbeat: NodeJS.Timeout | undefined

  constructor(private readonly parts: RedisSideParts) {
    const { runtime, redis, rules, claims, dispatcher, faults } = parts
    const { keys, log } = runtime
    const workerId = randomUUID()
    this.alarms = [...rules.values()].map((rule) => new Alarm(rule, claims, dispatcher, () => this.answering()))
    this.listener = new Listener(keys, rules, claims, dispatcher, log)
    this.subscriber = new Subscriber({
      source: redis.source,
      wakeChannel: keys.wakeChannel,
      onWake: (message) => (message === SWEEP_REQUEST ? parts.catchUp() : this.wake()),
      onExpired: (key) => this.canary.takes(key) || this.listener.take(key),
      onSubscribed: () => this.subscribedAgain(),
      faults,
    })
    this.canary = new Canary(
      keys.canary(workerId),
      redis.connection,
      () => this.subscriber.subscribed && this.usable,
      (proved) => this.judge(proved),
    )
    this.foreignKeys = new ForeignKeys(keys, [...rules.keys()], redis.connection, workerId, () => this.answering())
  }

  start(): void {
    const { connection } = this.parts.redis
    this.unlisten.push(connection.onUp(() => this.connectedAgain()))
    this.unlisten.push(connection.onDown((error) => this.lost(error)))
    this.unlisten.push(tellRefusedWrites(connection.refusals, this.parts.faults))
    this.unlisten.push(connection.refusals.onAccepted(() => this.missed()))
    connection.open()
    if (connection.ready) this.connectedAgain()
    this.heartbeat = setInterval(() => void this.beat(), HEARTBEAT_MS)
    this.subscriber.start()
    this.canary.start()
    this.foreignKeys.start()
    for (const alarm of this.alarms) alarm.start()
  }

  /** Takes nothing in hand any more. */
  async stop(): Promise<void> {
    clearInterval(this.heartbeat)
    for (const unlisten of this.unlisten) unlisten()
    await this.listener.stop()
    await Promise.all([...this.alarms.map((alarm) => alarm.stop()), this.foreignKeys.stop(), this.canary.stop()])
    this.subscriber.stop()
  }

  answering(): boolean {
    return this.usable && this.parts.redis.connection.ready
  }

  wake(): void {
    for (const alarm of this.alarms) alarm.wake()
  }

  /** Where nothing else was asked, so that silence is noticed. */
  private async beat(): Promise<void> {
    const { connection } = this.parts.redis
    if (performance.now() - connection.answeredAt < HEARTBEAT_MS / 2) return
    await connection.ask((client) => client.ping()).catch(() => {})
  }

  private subscribedAgain(): void {
    this.wake()
    this.parts.catchUp()
    void this.canary.fly()
  }

  private connectedAgain(): void {
    this.parts.faults.clear('REDIS_UNAVAILABLE')
    void this.parts.redis.index.load()
    this.wake()
    this.parts.catchUp()
    void this.look()
  }

  private lost(error: unknown): void {
    this.parts.faults.raise('REDIS_UNAVAILABLE', { message: 'Redis does not answer; the sweep over Postgres carries on', error })
  }

  /** What Redis did not take meanwhile is on the rows. */
  private missed(): void {
    this.wake()
    this.parts.catchUp()
  }

  /** What kind of Redis it is, and how it is set. */
  private async look(): Promise<void> {
    const { connection } = this.parts.redis
    const { faults } = this.parts
    try {
      await assertUsable(connection)
      this.usable = true
      faults.clear('REDIS_UNUSABLE')
      const { notifications, eviction } = await readSettings(connection)
      if (eviction !== undefined && eviction !== 'noeviction') {
        const remedy = 'set "maxmemory-policy noeviction"'
        faults.raise('EVICTION', { message: `Redis may evict timers (maxmemory-policy ${eviction})`, remedy })
      } else faults.clear('EVICTION')
      if (notifications !== undefined && !publishesExpiry(notifications)) await this.eventsOff(notifications)
    } catch (error) {
      if (!(error instanceof OrderTimersError) || error.code !== 'ERR_ORDER_TIMERS_REDIS_UNUSABLE') return
      this.usable = false
      faults.raise('REDIS_UNUSABLE', { message: error.message, error })
    }
  }

  private async eventsOff(flags: string): Promise<void> {
    const { configureRedis, faults, redis } = this.parts
    const off = `Redis publishes no expiry events (notify-keyspace-events is "${flags}")`
    if (!configureRedis) return faults.raise('EVENTS_OFF', { message: off, remedy: `add to redis.conf: ${REDIS_CONF}` })
    try {
      await enableExpiryEvents(redis.connection, flags)
      void this.canary.fly()
    } catch (error) {
      faults.raise('EVENTS_OFF', { message: `${off}, and refused to be configured`, remedy: `add to redis.conf: ${REDIS_CONF}`, error })
    }
  }

  private judge(proved: boolean): void {
    const { faults } = this.parts
    if (proved) faults.clear('EVENTS_OFF')
    else {
      const message = 'a key of our own expired and its event did not come'
      faults.raise('EVENTS_OFF', { message, remedy: `is this in redis.conf? ${REDIS_CONF}` })
    }
  }
}
