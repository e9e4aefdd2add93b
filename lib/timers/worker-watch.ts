// How a web process watches the workers between two of its heartbeats: one HMGET for a known worker's record and the watchers' field. A killed worker is missed within ten
// seconds, and a web process costs Redis little. It also knows how long this process has received answers from Redis without a gap: after a gap each
// process must first have had time to send a heartbeat.

import { Moment } from '../moment.js'
import { isWatched } from '../redis/live-feed.js'
import type { BeatAnswer, Presence } from '../redis/presence.js'
import { ALIVE_MS, aliveMs, type SeenProcess } from '../redis/process-records.js'

/** A longer time between two answers is a gap. */
const GAP_MS = 6_000

export class WorkerWatch {
  /** The worker with the latest heartbeat. */
  private worker: SeenProcess | undefined
  /** Redis's clock, and when it was read. */
  private clock: { now: number; moment: Moment } | undefined
  private heard: Moment | undefined
  private unbrokenSince = new Moment(ALIVE_MS.worker)
  private broken = false

  constructor(
    private readonly presence: Presence,
    /** Called with whether somebody watches what happens. */
    private readonly onWatched: (isWatched: boolean) => void = () => {},
  ) {}

  /** A heartbeat was answered. */
  answered({ now, processes, watched }: BeatAnswer): void {
    this.onWatched(watched)
    this.hear(this.broken)
    this.broken = false
    this.clock = { now, moment: new Moment() }
    const [latest] = processes.filter(({ role }) => role === 'worker').sort((one, other) => one.ageMs - other.ageMs)
    this.worker = latest
  }

  /** A heartbeat was not answered, or refused. */
  failed(): void {
    this.broken = true
  }

  /** Whether a silent worker may only not have had enough time since Redis answers again, or since this process stood still. */
  get isFresh(): boolean {
    return this.unbrokenSince.passedMs() < ALIVE_MS.worker
  }

  /** Whether the last known worker's heartbeats are so rare that it need not be checked between two heartbeats of this process. */
  get isSeldom(): boolean {
    return this.worker?.beatMs !== undefined
  }

  /** @returns whether the last known worker still sends heartbeats; also false if that is unknown. Never rejects */
  async workerBeats(): Promise<boolean> {
    const { worker, clock } = this
    if (worker === undefined || clock === undefined) return false
    try {
      const { beatAt, watcher } = await this.presence.signsOf(worker.id)
      this.hear(false)
      const now = clock.now + clock.moment.passedMs()
      this.onWatched(isWatched(watcher, now))
      return beatAt !== undefined && now - beatAt < aliveMs(worker)
    } catch {
      this.failed()
      return false
    }
  }

  private hear(afterFailure: boolean): void {
    if (afterFailure || (this.heard && this.heard.passedMs() > GAP_MS)) this.unbrokenSince = new Moment()
    this.heard = new Moment()
  }
}
