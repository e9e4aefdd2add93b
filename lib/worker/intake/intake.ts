// Everything that brings work from Redis to the dispatcher: the alarms on the due index, the listener, and what there is on the server
// (server-intake.ts). Whenever something may have been missed it wakes the alarms and runs a sweep. With `redis: false` a worker has no intake,
// and its sweep alone settles.

import { SWEEP_REQUEST } from '../../keys.js'
import type { Loop } from '../../loop.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import type { Faults } from '../faults.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'
import type { Sweep } from '../sweep/sweep.js'
import { Alarm } from './alarm.js'
import { Listener } from './listener.js'
import { ECONOMY, type Pace, USUAL } from './pulses.js'
import { ServerIntake } from './server-intake.js'

/** How many pulses may be missing before an alarm looks by itself. */
const MISSING_PULSES = 2.5

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
  readonly pace: Pace
  private readonly server: ServerIntake
  private readonly alarms: ReadonlyMap<string, Alarm>

  constructor(private readonly dependencies: IntakeDependencies) {
    const { runtime, redis, rules, claims, dispatcher, faults, configureRedis } = dependencies
    const { keys, log, meters } = runtime
    const { connection, source, pulse } = redis
    this.pace = dependencies.idle === 'economy' ? ECONOMY : USUAL
    const longestSleepMs = MISSING_PULSES * this.pace.everyMs
    this.alarms = new Map([...rules.values()].map((rule) => [rule.kind, new Alarm(rule, claims, dispatcher, connection, longestSleepMs)]))
    this.listener = new Listener(keys, rules, claims, dispatcher, log, redis.feed)
    const kinds = [...rules.keys()]
    const workerId = runtime.identity.token()
    const { pace } = this
    this.server = new ServerIntake(
      { connection, source, pulse, keys, workerId, kinds, indexes: kinds, pace, faults, meters, configureRedis },
      {
        onWake: (message) => (message === SWEEP_REQUEST ? this.sweepAsked() : this.wake()),
        onExpired: (key) => this.listener.take(key),
        onHead: (head) => this.alarms.get(head.kind)?.found(claims.untilNextMs(head)),
        onAnswered: () => void claims.retry(),
        onMissed: () => this.catchUp(),
        onServing: () => this.resume(),
      },
    )
  }

  start(): void {
    this.server.start()
    for (const alarm of this.alarms.values()) alarm.start()
  }

  /** Brings no more work. */
  async stop(): Promise<void> {
    await this.listener.stop()
    await Promise.all([...[...this.alarms.values()].map((alarm) => alarm.stop()), this.server.stop()])
  }

  get loops(): Loop[] {
    return [this.server.loop, ...[...this.alarms.values()].map(({ loop }) => loop)]
  }

  /** Resolves when the first attempt to subscribe has ended, whether it succeeded or not. */
  get attempted(): Promise<void> {
    return this.server.subscriber.attempted
  }

  /** Finds out now whether expiry events arrive. Never rejects. */
  prove(): Promise<void> {
    return this.server.prove()
  }

  /** Whether Redis answers now and can serve timers. */
  get connected(): boolean {
    return this.dependencies.redis.connection.serving
  }

  /** Whether expiry events are subscribed to. */
  get subscribed(): boolean {
    return this.server.subscriber.subscribed
  }

  /** Whether expiry events arrive; undefined where neither is proved as things are now. */
  get events(): boolean | undefined {
    return this.server.events
  }

  /** How often the keyspace has been scanned for external keys. */
  get externalScans(): number {
    return this.server.externalKeys.passes
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

  private resume(): void {
    void this.dependencies.redis.index.load()
    this.catchUp()
  }
}
