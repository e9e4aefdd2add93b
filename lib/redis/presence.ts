// The records of the processes that use these timers, in Redis: each process writes its own with a heartbeat, and gets all records in the same command.

import { randomUUID } from 'node:crypto'
import type { Keys } from '../keys.js'
import { LAYOUT, VERSION } from '../version.js'
import { timeAt } from './clock.js'
import type { RedisConnection } from './connection.js'
import { flatHash } from './hash.js'
import { isWatched, WATCH_FIELD } from './live-feed.js'
import { type ProcessRecord, parseRecords, type SeenProcess } from './process-records.js'
import type { Pulse } from './pulse.js'

/** How long the record of a silent process is kept, so that its last heartbeat can be shown. */
const KEPT_MS = 3_600_000

/** How long the counts of lateness are kept: 25 hours. */
export const LATENESS_KEPT_MS = 25 * 3_600_000

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
    /** Sends the heartbeats; undefined for readers. */
    private readonly pulse?: Pulse,
  ) {}

  /**
   * Waits until Redis answers or the connection is given up for silence. A worker's heartbeat waits for its next pulse.
   * @param counts of lateness to add, by field
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
      record.partitions ?? '',
      this.keys.lateness(),
      LATENESS_KEPT_MS,
      ...[...counts].flat(),
    ]
    const reply = record.role === 'worker' ? await this.pulse.beat(values) : await this.pulse.beatAlone(values)
    const [now, redisData = '', ...records] = reply
    return { now: Number(now), redisData, processes: parseRecords(records, Number(now)), watched: hasWatcher(records, Number(now)) }
  }

  /** Only reads the records. @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error */
  async read(waitMs: number): Promise<BeatAnswer> {
    const { processes, layout } = this.keys
    const [time, name, records] = await this.connection.run(waitMs, (client) =>
      Promise.all([timeAt(client, this.keys.inCluster ? layout : undefined), client.hget(layout, 'name'), flatHash(client, processes)]),
    )
    const now = Math.floor(time)
    return {
      now,
      redisData: name ?? '',
      processes: parseRecords(records, now),
      watched: hasWatcher(records, now),
    }
  }

  /** When a process last sent a heartbeat, by Redis's clock, and a watcher's last sign of life; undefined if there is none. @throws as `read` */
  async signsOf(id: string): Promise<{ beatAt: number | undefined; watcher: string | null | undefined }> {
    const [record, watcher] = await this.connection.ask((client) => client.hmget(this.keys.processes, id, WATCH_FIELD))
    const at = Number.parseInt(record ?? '', 10)
    return { beatAt: Number.isNaN(at) ? undefined : at, watcher }
  }

  /** The process ends normally: its record is removed, so that nobody misses it. */
  async leave(id: string): Promise<void> {
    await this.connection.ask((client) => client.hdel(this.keys.processes, id))
  }
}

/** @param records as from `parseRecords` */
function hasWatcher(records: readonly string[], now: number): boolean {
  for (let i = 0; i < records.length; i += 2) if (records[i] === WATCH_FIELD) return isWatched(records[i + 1], now)
  return false
}
