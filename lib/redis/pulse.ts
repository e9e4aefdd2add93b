// A worker's pulse: one call for everything that an idle worker asks Redis. It reads the head of each index, in a cluster of one partition, shows
// lost data and a silent connection, and carries the expiry probe, a heartbeat and a step of the scan for external keys. When it is sent, and
// what follows from it, is up to the worker.

import { ReplyError } from 'ioredis'
import type { Keys } from '../keys.js'
import type { RedisClock } from './clock.js'
import type { RedisConnection } from './connection.js'
import type { Leases } from './leases.js'
import type { Operation } from './refusals.js'
import { placed, scripts } from './script-calls.js'

/** How long the probe's key lives. */
export const PROBE_TTL_MS = 20

/** What is at the head of one index. */
export interface Head {
  kind: string
  /** For a cluster's index. */
  partition: number
  /** Redis's clock, milliseconds. */
  now: number
  /** The first deadline in the index, milliseconds; undefined if it is empty. */
  next: number | undefined
  /** When the first lease ends, milliseconds of Redis's clock; undefined if there is none. */
  leaseEnds: number | undefined
  /** The index has lost data; the next claim decides which worker restores it. */
  lost: boolean
}

/** The keys of the expiry probe, and the lifetime of the second. */
export interface ProbeKeys {
  key: string
  control: string
  controlTtlMs: number
}

export interface PulseOptions {
  /** Default: the connection for commands; in a cluster it may be the one to the partition's node. */
  connection?: RedisConnection
  /** The kinds whose indexes are read. */
  kinds: readonly string[]
  /** The partition of a cluster's index; undefined if none is read. A waiting heartbeat goes with partition 0. */
  partition: number | undefined
  probe?: ProbeKeys | undefined
  /** Old tombstones are dropped, and the server is described. */
  isThorough: boolean
  /** What the first step of a scan for external keys needs; see `scanValues`. */
  scan?: readonly (string | number)[] | undefined
}

export interface PulseAnswer {
  heads: Head[]
  probe: {
    /** Redis refused to set the key. */
    isRefused: boolean
    /** The key that an earlier pulse set has not expired yet. */
    isSet: boolean
    /** The control key is there: nothing was flushed. */
    hasControl: boolean
  }
  /** Lines of INFO, if they were requested and this user may read them. */
  server: string
  /** What the step of the scan found; undefined if another worker scans, and if it was refused. */
  scanned: ScanStep | undefined
  /** The error if the step was refused. */
  scanRefused: Error | undefined
}

/** A step of the scan for external keys: the next cursor, `0` after the last one, and for each key that was found milliseconds to its expiry. */
export interface ScanStep {
  cursor: string
  found: [key: string, leftMs: number][]
}

type Values = readonly (string | number)[]

interface WaitingBeat {
  values: Values
  resolve(reply: string[]): void
  reject(error: unknown): void
}

type PulseReply = [
  now: string,
  isSet: number,
  hasControl: number,
  refused: string,
  heads: string[],
  server: string,
  scan: (string | number)[],
  beat: string[],
  beatError: string,
  scanError: string,
]

export class Pulse {
  /** How many workers of this process send pulses. */
  private workers = 0
  private waiting: WaitingBeat | undefined

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
    private readonly clock: RedisClock,
    private readonly leases: Pick<Leases, 'knownEpoch' | 'noteEpoch'>,
  ) {}

  /** Pulses are sent from now on, so heartbeats wait for them. @returns a function that ends it */
  begin(): () => void {
    this.workers += 1
    return () => {
      this.workers -= 1
      if (this.workers === 0) this.sendWaiting()
    }
  }

  /**
   * A worker's heartbeat: with the next pulse, or separately if no pulse follows.
   * @returns the result of shared/beat.lua
   * @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error
   */
  beat(values: Values): Promise<string[]> {
    if (this.workers === 0 || this.waiting) return this.beatAlone(values)
    return new Promise((resolve, reject) => {
      this.waiting = { values, resolve, reject }
    })
  }

  async beatAlone(values: Values): Promise<string[]> {
    const { processes, layout } = this.keys
    const askedAt = performance.now()
    const reply = (await this.connection.ask((client) => scripts(client).orderTimersBeat(processes, layout, ...values))) as string[]
    this.clock.note(Number(reply[0]), askedAt)
    return reply
  }

  /** As `RedisClock.ownAhead`. */
  get ownAheadMs(): number | undefined {
    return this.clock.ownAhead()
  }

  /** @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error. A refused write does not throw: the connection records it */
  async send(options: PulseOptions): Promise<PulseAnswer> {
    const { partition } = options
    const beat = partition === 0 ? this.waiting : undefined
    if (beat) this.waiting = undefined
    try {
      const reply = await this.ask(options, beat?.values)
      if (reply[8] !== '') beat?.reject(new ReplyError(reply[8]))
      else beat?.resolve(reply[7])
      return this.parse(reply, options)
    } catch (error) {
      beat?.reject(error)
      throw error
    }
  }

  /** There is no connection to send a pulse on. */
  fail(error: unknown): void {
    this.waiting?.reject(error)
    this.waiting = undefined
  }

  private async ask(options: PulseOptions, beat: Values | undefined): Promise<PulseReply> {
    const { connection = this.connection, probe, isThorough, scan = [], partition = 0 } = options
    const kinds = looked(options)
    const { processes, layout } = this.keys
    const names = kinds.flatMap((kind) => {
      const { due, leases, tombstones } = this.keys.sets(kind, partition)
      return [due, leases, tombstones]
    })
    const keys = [...(probe ? [probe.key, probe.control] : []), ...names, ...(beat ? [processes, layout] : [])]
    const epochs = kinds.map((kind) => this.leases.knownEpoch(kind, partition))
    const [epochsJson = '', probeJson = '', scanJson = ''] = [epochs, probe ? [PROBE_TTL_MS, probe.controlTtlMs] : [], scan].map((list) =>
      JSON.stringify(list),
    )
    const values = [epochsJson, probeJson, isThorough ? '1' : '', scanJson, ...(beat ?? [])]
    const askedAt = performance.now()
    let reply: PulseReply | undefined
    try {
      await connection.ask(async (client) => {
        reply = (await scripts(client).orderTimersPulse(keys.length, ...keys, ...values)) as PulseReply
        if (reply[3] !== '') throw new ReplyError(reply[3])
      }, writeOf(options))
    } catch (error) {
      if (reply === undefined) throw error
    }
    if (reply === undefined) throw new Error('a pulse had no reply')
    if (options.partition !== undefined) this.clock.note(Number(reply[0]), askedAt, partition)
    return reply
  }

  private parse(reply: PulseReply, options: PulseOptions): PulseAnswer {
    const [now, isSet, hasControl, refused, heads, server, scan, , , scanError] = reply
    const { partition = 0 } = options
    return {
      heads: looked(options).map((kind, i) => {
        const [next = '', leaseEnds = '', epoch = ''] = heads.slice(3 * i, 3 * i + 3)
        if (epoch !== '') this.leases.noteEpoch(kind, Number(epoch), partition)
        return { kind, partition, now: Number(now), next: optional(next), leaseEnds: optional(leaseEnds), lost: epoch === '' }
      }),
      probe: { isRefused: refused !== '', isSet: isSet === 1, hasControl: hasControl === 1 },
      server,
      scanned: parseScan(scan),
      scanRefused: scanError === '' ? undefined : new ReplyError(scanError),
    }
  }

  /** Sends a waiting heartbeat now, without a pulse. */
  sendWaiting(): void {
    const beat = this.waiting
    this.waiting = undefined
    if (beat) void this.beatAlone(beat.values).then(beat.resolve, beat.reject)
  }
}

/** What its refusal is noted as: on the connection to all nodes of a cluster, of each partition by itself. */
function writeOf({ connection, partition = 0, probe }: PulseOptions): Operation {
  const place = connection?.topology === 'node' ? 0 : partition
  return { what: `expiry probe${placed(place)}`, partition: place, proves: () => (probe ? 'memory' : 'write') }
}

/** The kinds whose indexes this pulse looks at. */
function looked({ kinds, partition }: PulseOptions): readonly string[] {
  return partition === undefined ? [] : kinds
}

/** @param reply as shared/scan-step.lua says */
export function parseScan([cursor, ...found]: readonly (string | number)[]): ScanStep | undefined {
  if (cursor === undefined) return undefined
  const step: ScanStep = { cursor: String(cursor), found: [] }
  for (let i = 0; i < found.length; i += 2) step.found.push([String(found[i]), Number(found[i + 1])])
  return step
}

function optional(value: string): number | undefined {
  return value === '' ? undefined : Number(value)
}
