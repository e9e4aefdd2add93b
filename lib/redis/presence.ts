// The records of the processes that use these timers, in Redis: each writes its own with a beat, and gets those of all others in the same command.

import { randomUUID } from 'node:crypto'
import type { Keys } from '../keys.js'
import { LAYOUT, VERSION } from '../version.js'
import type { RedisConnection } from './connection.js'
import { isWatched, WATCH_FIELD } from './live-feed.js'
import type { Pulse } from './pulse.js'

/** How long the record of a process that is silent is kept, so that a person can be told when it was last heard of. */
const KEPT_MS = 3_600_000

/** How long the counts of lateness are kept: a day, and an hour more. */
export const LATENESS_KEPT_MS = 25 * 3_600_000

/** A worker settles orders. A web process only schedules them. */
export type Role = 'worker' | 'web'

/** What a process says of itself. */
export interface ProcessRecord {
  /** Host, process id and random characters: the same in its claims, the history and its log. */
  id: string
  host: string
  pid: number
  /** The version of this package. */
  version: string
  /** When the process began, in milliseconds by its own clock. */
  startedAt: number
  role: Role
  /** The Redis that it uses, with its db; null with `redis: false`. */
  redis: string | null
  /** The name of the data in that Redis. Processes that use the same data have the same. Undefined while it is not known. */
  redisData?: string
  /** The fingerprint of each rule's declared values. */
  rules: Record<string, string>
  databases: DatabaseRecord[]
  /** Whether it heeds holds; earlier versions do not. */
  holds?: boolean
  /** Of a worker: milliseconds between two of its sweeps, null where none is scheduled. */
  sweepMs?: number | null
  /** Of a worker that beats less often than usual: milliseconds between two beats. */
  beatMs?: number
  /** What is wrong at present, as this process sees it. Left out where nothing is. */
  faults?: RecordedFault[]
  /**
   * How far its clock is ahead of the server's at least, in milliseconds, as it has measured it; null before it has. Earlier versions do not say.
   */
  aheadMs?: number | null
}

/** A fault as others are told of it. */
export interface RecordedFault {
  code: string
  kind?: string
  message: string
  /** When it began, in milliseconds by the process's clock. */
  since: number
}

/** A database that a process uses. */
export interface DatabaseRecord {
  /** The same in processes whose tables are the same. */
  identity: string
  kinds: string[]
  /** How long before the beat the process first got this identity, and last got it, in milliseconds. */
  sinceMs: number
  confirmedMs: number
}

/** A process as it was last heard of. */
export interface SeenProcess extends ProcessRecord {
  /** When it last beat, by the server's clock, in milliseconds. */
  beatAt: number
  /** Milliseconds since then. */
  ageMs: number
  /** How far its clock is ahead of the server's at least, in milliseconds: what a round trip explains is no difference. */
  clockMs: number
}

export interface BeatAnswer {
  /** Redis's clock, milliseconds. */
  now: number
  /** The name of the data in this Redis. */
  redisData: string
  processes: SeenProcess[]
  /** Whether somebody watches what happens. */
  watched: boolean
}

export class Presence {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: Keys,
    /** Sends the beats; undefined for whoever only reads. */
    private readonly pulse?: Pulse,
  ) {}

  /**
   * Waits until Redis answers or the connection is given up for silence. A worker's beat waits for its next pulse.
   * @param counts of lateness, by field, to be added
   * @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error
   */
  async beat(record: ProcessRecord, counts: ReadonlyMap<string, number>): Promise<BeatAnswer> {
    if (!this.pulse) throw new Error('these records are only read')
    const values = [
      record.id,
      Date.now(),
      JSON.stringify({ ...record, aheadMs: this.pulse.ownAheadMs ?? null }),
      KEPT_MS,
      LAYOUT,
      VERSION,
      randomUUID(),
      this.keys.lateness(),
      LATENESS_KEPT_MS,
      ...[...counts].flat(),
    ]
    const reply = record.role === 'worker' ? await this.pulse.beat(values) : await this.pulse.beatAlone(values)
    const [now, redisData = '', ...records] = reply
    return { now: Number(now), redisData, processes: parseRecords(records, Number(now)), watched: hasWatcher(records, Number(now)) }
  }

  /** The records alone. @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error */
  async read(waitMs: number): Promise<BeatAnswer> {
    const { processes, layout } = this.keys
    const [time, name, records] = await this.connection.run(waitMs, (client) =>
      Promise.all([client.time(), client.hget(layout, 'name'), client.hgetall(processes)]),
    )
    const now = Math.floor(Number(time[0]) * 1_000 + Number(time[1]) / 1_000)
    return {
      now,
      redisData: name ?? '',
      processes: parseRecords(Object.entries(records).flat(), now),
      watched: isWatched(records[WATCH_FIELD], now),
    }
  }

  /** When a process last beat, by Redis's clock, and when a watcher last showed itself; undefined where there is none. @throws as `read` */
  async signsOf(id: string): Promise<{ beatAt: number | undefined; watcher: string | null | undefined }> {
    const [record, watcher] = await this.connection.ask((client) => client.hmget(this.keys.processes, id, WATCH_FIELD))
    const at = Number.parseInt(record ?? '', 10)
    return { beatAt: Number.isNaN(at) ? undefined : at, watcher }
  }

  /** The process ends in good order: nobody need wonder where it is. */
  async leave(id: string): Promise<void> {
    await this.connection.ask((client) => client.hdel(this.keys.processes, id))
  }
}

/** @param records id, record, id, record, …; what cannot be read, such as that of a later version, is left out */
function parseRecords(records: readonly string[], now: number): SeenProcess[] {
  const seen: SeenProcess[] = []
  for (let i = 1; i < records.length; i += 2) {
    const parsed = /^(\d+) (\d+) (\{.*\})$/s.exec(records[i] as string)
    if (!parsed) continue
    const [, at, wall, json = ''] = parsed
    try {
      const { aheadMs, ...record } = JSON.parse(json) as ProcessRecord
      const beatAt = Number(at)
      seen.push({ ...record, beatAt, ageMs: Math.max(0, now - beatAt), clockMs: clockOf(aheadMs, Number(wall) - beatAt) })
    } catch {
      // not ours
    }
  }
  return seen
}

/** @param aheadMs what the process has measured @param writtenMs its clock when it sent the beat, minus the server's when that arrived */
function clockOf(aheadMs: number | null | undefined, writtenMs: number): number {
  if (aheadMs === undefined) return writtenMs
  return aheadMs ?? Math.max(0, writtenMs) // that it seems slow may be the beat's way
}

/** @param records as of `parseRecords` */
function hasWatcher(records: readonly string[], now: number): boolean {
  for (let i = 0; i < records.length; i += 2) if (records[i] === WATCH_FIELD) return isWatched(records[i + 1], now)
  return false
}
