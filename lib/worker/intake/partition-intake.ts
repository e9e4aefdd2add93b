// A worker's parts for each partition of the due index: an alarm for each rule and, in a cluster, a pulse that reads their heads. One Redis server has
// one partition, whose heads the server's own pulse reads; in a cluster each primary's pulse does that for one partition. Each partition waits only for its own node,
// so a node that is down does not delay the others.

import type { Loop } from '../../loop.js'
import type { Head } from '../../redis/pulse.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'
import { Alarm } from './alarm.js'
import { type Pace, Pulses } from './pulses.js'
import type { UnservedPartitions } from './unserved.js'

/** How many pulses may be missing before an alarm asks by itself. */
const MISSING_PULSES = 2.5

/** A loop that does not run for a minute counts as hanging. */
const LONGEST_SLEEP_MS = 45_000

export interface PartitionIntakeDependencies {
  runtime: Runtime
  redis: RuntimeRedis
  rules: ReadonlyMap<string, BoundRule>
  claims: IndexClaims
  dispatcher: Dispatcher
  pace: Pace
  unserved: UnservedPartitions
  /** A pulse that looked at this partition was answered. */
  onAnswered(partition: number): void
}

export class PartitionIntake {
  private readonly pulses: Pulses | undefined
  /** By kind. */
  private readonly alarms: ReadonlyMap<string, Alarm>
  /** By the names of the indexes, which follow from how many partitions there are: that may be read later. */
  private byIndex: { partitions: number; alarms: ReadonlyMap<string, Alarm> } | undefined

  constructor(
    private readonly dependencies: PartitionIntakeDependencies,
    private readonly partition: number,
  ) {
    const { runtime, redis, rules, claims, dispatcher, pace, unserved, onAnswered } = dependencies
    const { connection, pulse } = redis
    const everyMs = runtime.keys.inCluster ? pace.cluster.partitionMs : pace.everyMs
    const longestSleepMs = Math.min(MISSING_PULSES * everyMs, LONGEST_SLEEP_MS)
    const alarms = [...rules.values()].map((rule) => new Alarm(rule, claims, dispatcher, connection, longestSleepMs, partition))
    const kinds = [...rules.keys()]
    this.alarms = new Map(kinds.map((kind, i) => [kind, alarms[i] as Alarm]))
    this.pulses = runtime.keys.inCluster
      ? new Pulses({
          ...{ pulse, connection, kinds, everyMs, expiryProbe: undefined, externalKeys: undefined },
          partition: () => partition,
          onHead: (head) => this.found(head),
          onAnswered,
          onFailed: (error) => unserved.noteFailed(partition, error),
          onServer() {},
        })
      : undefined
  }

  start(): void {
    this.pulses?.start()
    for (const alarm of this.alarms.values()) alarm.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.pulses?.stop(), ...[...this.alarms.values()].map((alarm) => alarm.stop())])
  }

  get loops(): Loop[] {
    return [...(this.pulses ? [this.pulses.loop] : []), ...[...this.alarms.values()].map(({ loop }) => loop)]
  }

  /** A pulse has read the head of one of the indexes. */
  found(head: Head): void {
    this.alarms.get(head.kind)?.found(this.dependencies.claims.untilNextMs(head))
  }

  /** The same, by a pulse of a server. */
  foundByServer(head: Head): void {
    this.pulses?.postpone()
    this.found(head)
  }

  /** Orders were put back into one of the indexes. */
  putBack(kind: string, untilDueMs: number): void {
    this.alarms.get(kind)?.putBack(untilDueMs)
  }

  wake(): void {
    for (const alarm of this.alarms.values()) alarm.wake()
  }

  /** @returns whether this index is one of these */
  wakeOf(index: string): boolean {
    const alarm = this.alarmsByIndex().get(index)
    alarm?.wake()
    return alarm !== undefined
  }

  private alarmsByIndex(): ReadonlyMap<string, Alarm> {
    const { keys } = this.dependencies.runtime
    const { partitions } = keys
    if (this.byIndex?.partitions !== partitions) {
      const named = [...this.alarms].map(([kind, alarm]) => [keys.sets(kind, this.partition).due, alarm] as const)
      this.byIndex = { partitions, alarms: new Map(named) }
    }
    return this.byIndex.alarms
  }
}
