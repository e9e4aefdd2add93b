// Everything that brings work from Redis to the dispatcher: the alarms on each partition of the due index, the listener, and the parts for each server
// (server-intake.ts). Whenever something may have been missed it wakes the alarms and runs a sweep. With `redis: false` a worker has no intake,
// and only its sweep settles.

import { SWEEP_REQUEST } from '../../keys.js'
import type { Loop } from '../../loop.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import type { Faults } from '../faults.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'
import type { Standstill } from '../standstill.js'
import type { Sweep } from '../sweep/sweep.js'
import { Listener } from './listener.js'
import { PartitionIntake } from './partition-intake.js'
import { ECONOMY, type Pace, USUAL } from './pulses.js'
import type { ServerIntake } from './server-intake.js'
import { loopsOf, type Servers, serversOf } from './servers.js'
import { UnservedPartitions } from './unserved.js'

export interface IntakeDependencies {
  runtime: Runtime
  redis: RuntimeRedis
  rules: ReadonlyMap<string, BoundRule>
  claims: IndexClaims
  dispatcher: Dispatcher
  faults: Faults
  sweep: Sweep
  standstill: Standstill
  /** Whether `notify-keyspace-events` may be changed. */
  configureRedis: boolean
  /** `economy`: few commands while there is nothing to do. */
  idle: 'economy' | undefined
}

export class Intake {
  readonly listener: Listener
  readonly pace: Pace
  private readonly servers: Servers
  /** One for each partition of the due index; in a cluster their number is known once the layout has been read, perhaps after work has begun. */
  private readonly partitions: PartitionIntake[] = []
  private readonly unserved: UnservedPartitions
  private started = false
  private stopped = false
  private dropped: Promise<unknown> = Promise.resolve()
  private unlisten = () => {}

  constructor(private readonly dependencies: IntakeDependencies) {
    const { runtime, redis, rules, claims, dispatcher, faults, configureRedis } = dependencies
    const { keys, log, meters } = runtime
    this.pace = dependencies.idle === 'economy' ? ECONOMY : USUAL
    this.unserved = new UnservedPartitions(redis.connection, keys, faults)
    this.fitPartitions()
    claims.onPutBack((kind, partition, untilDueMs) => this.partitions[partition]?.putBack(kind, untilDueMs))
    this.listener = new Listener(keys, rules, claims, dispatcher, log, dependencies.standstill, redis.feed)
    const kinds = [...rules.keys()]
    const workerId = runtime.identity.token()
    const { pace } = this
    this.servers = serversOf(
      { redis, keys, workerId, kinds, pace, faults, log, meters, configureRedis },
      {
        onWake: (message) => (message === SWEEP_REQUEST ? this.sweepAsked() : this.wakeOf(message)),
        onExpired: (key) => this.listener.take(key),
        onHead: (head) => this.partitions[head.partition]?.foundByServer(head),
        onAnswered: (partition) => this.answered(partition),
        onMissed: () => this.catchUp(),
        onServing: () => this.resume(),
      },
    )
  }

  start(): void {
    this.fitPartitions()
    this.servers.start()
    this.started = true
    for (const partition of this.partitions) partition.start()
    this.unlisten = this.dependencies.runtime.keys.onPartitions(() => {
      this.fitPartitions()
      this.wake() // each is of another index now
    })
  }

  /** Brings no more work. */
  async stop(): Promise<void> {
    this.stopped = true
    this.unlisten()
    await this.listener.stop()
    await Promise.all([...this.partitions.map((partition) => partition.stop()), this.servers.stop(), this.dropped])
  }

  get loops(): Loop[] {
    return [...loopsOf(this.servers), ...this.partitions.flatMap(({ loops }) => loops)]
  }

  /** Resolves when the first attempt to subscribe has ended, whether it succeeded or not. */
  get attempted(): Promise<void> {
    return this.servers.attempted
  }

  /** Finds out now whether expiry events arrive. Never rejects. */
  async prove(): Promise<void> {
    await Promise.all(this.servers.list.map((server) => server.prove()))
  }

  /** Whether Redis answers now and can serve timers. */
  get connected(): boolean {
    return this.dependencies.redis.connection.serving && this.servers.list.every(({ serving }) => serving) && !this.unserved.any
  }

  /** Whether the worker is subscribed to expiry events. */
  get subscribed(): boolean {
    return this.areAll(({ subscriber }) => subscriber.subscribed)
  }

  /** Whether expiry events arrive; undefined while unknown. */
  get events(): boolean | undefined {
    if (this.servers.list.some(({ events }) => events === false)) return false
    return this.areAll(({ events }) => events) || undefined
  }

  /** How often the keyspace has been scanned for external keys. */
  get externalScans(): number {
    const passes = this.servers.list.map(({ externalKeys }) => externalKeys.passes)
    return passes.length > 0 ? Math.min(...passes) : 0
  }

  /** How long a pass over the keyspace took, on the server where it took longest, milliseconds; undefined while this worker has completed none. */
  get externalScanMs(): number | undefined {
    const took = this.servers.list.flatMap(({ externalKeys }) => externalKeys.passMs ?? [])
    return took.length > 0 ? Math.max(...took) : undefined
  }

  private areAll(holds: (server: ServerIntake) => boolean | undefined): boolean {
    const { list } = this.servers
    return list.length > 0 && list.every((server) => holds(server) === true)
  }

  /** Those of too high a number end: there is no index for them. */
  private fitPartitions(): void {
    const { partitions: count } = this.dependencies.runtime.keys
    const { pace, unserved } = this
    const surplus = this.partitions.splice(count)
    this.dropped = Promise.all([this.dropped, ...surplus.map((partition) => partition.stop())])
    for (const i of surplus.keys()) unserved.noteAnswered(count + i)
    while (this.partitions.length < count && !this.stopped) {
      const onAnswered = (partition: number) => this.answered(partition)
      const partition = new PartitionIntake({ ...this.dependencies, pace, unserved, onAnswered }, this.partitions.length)
      this.partitions.push(partition)
      if (this.started) partition.start()
    }
  }

  private answered(partition: number): void {
    this.unserved.noteAnswered(partition)
    void this.dependencies.claims.retry(partition)
  }

  private wake(): void {
    for (const partition of this.partitions) partition.wake()
  }

  /** @param message the name of an index with a new first timer; an earlier version says only that there is one */
  private wakeOf(message: string): void {
    if (!this.partitions.some((partition) => partition.wakeOf(message))) this.wake()
  }

  /** Requested by a person, for example with a release. */
  private sweepAsked(): void {
    this.dependencies.dispatcher.endRest()
    void this.dependencies.sweep.run()
  }

  /** Something may have been missed. What Redis does not have is on the rows. */
  private catchUp(): void {
    this.wake()
    void this.dependencies.sweep.run()
  }

  private resume(): void {
    void this.dependencies.redis.index.load()
    this.catchUp()
  }
}
