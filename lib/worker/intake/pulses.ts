// Sends a worker's pulses and distributes their results: heads of indexes to the alarms, and the answers for the expiry probe, the scan for external
// keys and the server watch. A pulse that goes unanswered shows a silent connection.

import { Loop } from '../../loop.js'
import type { RedisConnection } from '../../redis/connection.js'
import { type Head, PROBE_TTL_MS, type Pulse } from '../../redis/pulse.js'
import type { ExpiryProbe } from './expiry-probe.js'
import type { ExternalKeys } from './external-keys.js'
import { Rest } from './rest.js'

/** How often a pulse is sent, whether the keyspace is scanned, and the heartbeat interval if it is not as usual. */
export interface Pace {
  everyMs: number
  scans: boolean
  beatMs?: number
  /** In a cluster: the intervals for each primary, whose pulse also reads one partition, and for each other partition. */
  cluster: { nodeMs: number; partitionMs: number }
}

/** Together with the records of a sweep over three rules each minute, this is a command a second; the same for each of three primaries with eight partitions. */
export const USUAL: Pace = { everyMs: 1_050, scans: true, cluster: { nodeMs: 2_100, partitionMs: 3_150 } }

/** For a Redis where each command costs money: one command in five seconds. */
export const ECONOMY: Pace = { everyMs: 7_500, scans: false, beatMs: 60_000, cluster: { nodeMs: 15_000, partitionMs: 30_000 } }

/** How often, in milliseconds, a pulse also drops old tombstones and describes the server. */
const THOROUGH_MS = 8_000

export interface PulsesDependencies {
  pulse: Pulse
  connection: RedisConnection
  kinds: readonly string[]
  /** The partition of the index that is read; undefined if none is. */
  partition(): number | undefined
  everyMs: number
  /** Undefined if the pulses carry none. */
  expiryProbe: ExpiryProbe | undefined
  /** Undefined if nothing is scanned. */
  externalKeys: ExternalKeys | undefined
  onHead(head: Head): void
  onServer(info: string): void
  /** Redis answers, so unanswered messages for this partition can be sent again. */
  onAnswered(partition: number): void
  /** A pulse that was sent failed. */
  onFailed?(error: unknown): void
}

export class Pulses {
  readonly loop = new Loop('pulses')
  private readonly rest = new Rest()
  private timer: NodeJS.Timeout | undefined
  private sending: Promise<void> | undefined
  private thoroughAt = Number.NEGATIVE_INFINITY
  private endPulse: (() => void) | undefined
  private stopped = false

  constructor(private readonly dependencies: PulsesDependencies) {}

  start(): void {
    if (this.carriesBeats) this.endPulse = this.dependencies.pulse.begin()
    this.later()
  }

  /** Another pulse has read this partition, so the next pulse is postponed as after one of its own. */
  postpone(): void {
    this.later()
  }

  async stop(): Promise<void> {
    this.stopped = true
    clearTimeout(this.timer)
    this.loop.rests()
    this.rest.end()
    await this.sending
    this.endPulse?.()
  }

  /** Finds out quickly whether expiry events arrive: two pulses, separated by the life of the probe's key. Never rejects. */
  async prove(): Promise<void> {
    await this.send()
    await this.rest.for(PROBE_TTL_MS + 2)
    await this.send()
    await this.dependencies.expiryProbe?.judged
  }

  /** Sends a pulse, or waits for a running one. Never rejects. */
  private send(): Promise<void> {
    this.sending ??= this.sendOne().finally(() => {
      this.sending = undefined
      this.later()
    })
    return this.sending
  }

  private later(): void {
    clearTimeout(this.timer)
    if (this.stopped) return
    this.loop.turned()
    this.timer = setTimeout(() => void this.send(), this.dependencies.everyMs)
  }

  private async sendOne(): Promise<void> {
    const { pulse, connection, kinds, expiryProbe, externalKeys, onHead, onServer, onAnswered } = this.dependencies
    if (this.stopped) return
    if (!connection.usable) return this.carriesBeats ? pulse.fail(new Error('there is no connection')) : undefined
    const partition = this.dependencies.partition()
    const isThorough = performance.now() - this.thoroughAt >= THOROUGH_MS
    try {
      const scan = externalKeys?.firstStep()
      const answer = await pulse.send({ connection, kinds, partition, probe: expiryProbe?.keys, isThorough, scan })
      if (isThorough) this.thoroughAt = performance.now()
      if (this.stopped) return
      if (partition !== undefined) onAnswered(partition)
      for (const head of answer.heads) onHead(head)
      expiryProbe?.answered(answer.probe)
      if (scan) externalKeys?.stepped(answer.scanned, answer.scanRefused)
      if (isThorough) onServer(answer.server)
    } catch (error) {
      // Redis does not answer, or refuses: its connection reports that, and the alarms look by themselves.
      if (this.stopped) return
      expiryProbe?.forget()
      this.dependencies.onFailed?.(error)
    }
  }

  /** A heartbeat waits for these pulses. In a cluster a pulse on a node carries it if it comes first. */
  private get carriesBeats(): boolean {
    return this.dependencies.connection.topology !== 'node' && this.dependencies.partition() === 0
  }
}
