// A web process's watch over the workers between two of its beats: one HMGET of a record that it knows, and of a watcher's. A worker that was killed is missed within ten
// seconds, and a web process costs Redis little. It also knows for how long this process has been hearing from Redis without a gap: after one, each
// process must first have had time to beat again.

import { Moment } from '../moment.js'
import { isWatched } from '../redis/live-feed.js'
import type { BeatAnswer, Presence } from '../redis/presence.js'
import type { SeenProcess } from '../redis/process-records.js'
import { ALIVE_MS, aliveMs } from './findings.js'

/** Longer than this between two answers is a gap. */
const GAP_MS = 6_000

export class WorkerWatch {
  /** The worker that was heard of last. */
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

  /** A beat was answered. */
  answered({ now, processes, watched }: BeatAnswer): void {
    this.onWatched(watched)
    this.hear(this.broken)
    this.broken = false
    this.clock = { now, moment: new Moment() }
    const [latest] = processes.filter(({ role }) => role === 'worker').sort((one, other) => one.ageMs - other.ageMs)
    this.worker = latest
  }

  /** A beat was not answered, or refused. */
  failed(): void {
    this.broken = true
  }

  /** Whether a worker that is not heard of now may just not have had the time since Redis answers again, or since this process stood still. */
  get isFresh(): boolean {
    return this.unbrokenSince.passedMs() < ALIVE_MS.worker
  }

  /** Whether the worker that was heard of last beats so seldom that it need not be looked at between two beats of this process. */
  get isSeldom(): boolean {
    return this.worker?.beatMs !== undefined
  }

  /** @returns whether the worker that was heard of last still beats; false also where that is not known. Never rejects */
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
