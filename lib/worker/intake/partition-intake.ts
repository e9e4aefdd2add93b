// What a worker has for each partition of the due index: an alarm for each rule and, in a cluster, a pulse that looks at their heads. One Redis server has
// one partition, whose heads the server's own pulse looks at, and so do those of each primary in a cluster. In a cluster each waits for its own node only,
// so a node that is away holds up nothing of the others.

import type { Loop } from '../../loop.js'
import type { Head } from '../../redis/pulse.js'
import type { BoundRule } from '../../rules/rule.js'
import type { Runtime, RuntimeRedis } from '../../timers/runtime.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import type { IndexClaims } from '../settling/index-claims.js'
import { Alarm } from './alarm.js'
import { type Pace, Pulses } from './pulses.js'

/** How many pulses may be missing before an alarm looks by itself. */
const MISSING_PULSES = 2.5

/** A loop that does not turn for a minute counts as hanging. */
const LONGEST_SLEEP_MS = 45_000

export interface PartitionIntakeDependencies {
  runtime: Runtime
  redis: RuntimeRedis
  rules: ReadonlyMap<string, BoundRule>
  claims: IndexClaims
  dispatcher: Dispatcher
  pace: Pace
}

export class PartitionIntake {
  private readonly pulses: Pulses | undefined
  /** By kind. */
  private readonly alarms: ReadonlyMap<string, Alarm>
  /** By the name of the index. */
  private readonly byIndex: ReadonlyMap<string, Alarm>

  constructor(
    private readonly dependencies: PartitionIntakeDependencies,
    partition: number,
  ) {
    const { runtime, redis, rules, claims, dispatcher, pace } = dependencies
    const { connection, pulse } = redis
    const everyMs = runtime.keys.inCluster ? pace.cluster.partitionMs : pace.everyMs
    const longestSleepMs = Math.min(MISSING_PULSES * everyMs, LONGEST_SLEEP_MS)
    const alarms = [...rules.values()].map((rule) => new Alarm(rule, claims, dispatcher, connection, longestSleepMs, partition))
    const kinds = [...rules.keys()]
    this.alarms = new Map(kinds.map((kind, i) => [kind, alarms[i] as Alarm]))
    this.byIndex = new Map([...this.alarms].map(([kind, alarm]) => [runtime.keys.sets(kind, partition).due, alarm]))
    this.pulses = runtime.keys.inCluster
      ? new Pulses({
          ...{ pulse, connection, kinds, everyMs, expiryProbe: undefined, externalKeys: undefined },
          partition: () => partition,
          onHead: (head) => this.found(head),
          onAnswered: () => void claims.retry(partition),
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

  /** A pulse has looked at the head of one of the indexes. */
  found(head: Head): void {
    this.alarms.get(head.kind)?.found(this.dependencies.claims.untilNextMs(head))
  }

  /** The same, by a pulse of a server. */
  foundByServer(head: Head): void {
    this.pulses?.postpone()
    this.found(head)
  }

  wake(): void {
    for (const alarm of this.alarms.values()) alarm.wake()
  }

  /** @returns whether this index is one of these */
  wakeOf(index: string): boolean {
    const alarm = this.byIndex.get(index)
    alarm?.wake()
    return alarm !== undefined
  }
}
