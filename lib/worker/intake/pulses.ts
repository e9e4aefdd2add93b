// Sends pulses of a worker and hands on what they find: heads of indexes to the alarms, and the answers for the expiry probe, the scan for external
// keys and the server watch. A pulse that goes unanswered shows a silent connection.

import { Loop } from '../../loop.js'
import type { RedisConnection } from '../../redis/connection.js'
import { type Head, PROBE_TTL_MS, type Pulse } from '../../redis/pulse.js'
import type { ExpiryProbe } from './expiry-probe.js'
import type { ExternalKeys } from './external-keys.js'
import { Rest } from './rest.js'

/** How often a pulse is sent, whether the keyspace is scanned, and how often the worker beats where that is not as usual. */
export interface Pace {
  everyMs: number
  scans: boolean
  beatMs?: number
  /** In a cluster: how often on each primary, where it also looks at one partition, and for each of the other partitions. */
  cluster: { nodeMs: number; partitionMs: number }
}

/** With what a sweep of three rules notes each minute, this is a command a second; to each of three primaries that have eight partitions, too. */
export const USUAL: Pace = { everyMs: 1_050, scans: true, cluster: { nodeMs: 2_100, partitionMs: 3_150 } }

/** For a Redis that is paid for by the command: one in five seconds. */
export const ECONOMY: Pace = { everyMs: 7_500, scans: false, beatMs: 60_000, cluster: { nodeMs: 15_000, partitionMs: 30_000 } }

/** Each so many milliseconds a pulse also drops old tombstones and asks what kind of server this is. */
const THOROUGH_MS = 8_000

export interface PulsesDependencies {
  pulse: Pulse
  connection: RedisConnection
  kinds: readonly string[]
  /** The partition of the index that is looked at now; undefined where none is. */
  partition(): number | undefined
  everyMs: number
  /** Undefined where the pulses carry none. */
  expiryProbe: ExpiryProbe | undefined
  /** Undefined where nothing is scanned. */
  externalKeys: ExternalKeys | undefined
  onHead(head: Head): void
  onServer(info: string): void
  /** Redis answers, so what it did not answer of this partition can be sent again. */
  onAnswered(partition: number): void
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

  /** Another pulse has looked at this partition, so the next one of these is due as late as if it had been one of them. */
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

  /** Finds out whether expiry events arrive, in a moment: two pulses with the life of the probe's key between them. Never rejects. */
  async prove(): Promise<void> {
    await this.send()
    await this.rest.for(PROBE_TTL_MS + 2)
    await this.send()
    await this.dependencies.expiryProbe?.judged
  }

  /** Sends a pulse, or waits for the one that is under way. Never rejects. */
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
      if (scan) externalKeys?.stepped(answer.scanned)
      if (isThorough) onServer(answer.server)
    } catch {
      // Redis does not answer, or refuses: its connection reports that, and the alarms look by themselves.
    }
  }

  /** A beat waits for these pulses. Those on a node of a cluster take it along where they come first. */
  private get carriesBeats(): boolean {
    return this.dependencies.connection.topology !== 'node' && this.dependencies.partition() === 0
  }
}
