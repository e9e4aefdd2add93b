// Runs the sweep on schedule: by node-cron, and by a watchdog that measures elapsed time. node-cron alone is not enough. It skips a run that is
// later than its tolerance, a clock that is set can keep it waiting, and a run may not exist on the day when daylight saving begins.

import type { ScheduledTask } from 'node-cron'
import { Moment } from '../../moment.js'
import type { Faults } from '../faults.js'
import { CronTimes } from './cron-times.js'
import type { Fallback } from './fallback.js'
import cronModule from './node-cron.cjs'
import type { Sweep } from './sweep.js'

/** How far ahead rows are armed if no sweep is scheduled. Then sweeps run only at the start and after reconnections. */
const HORIZON_WITHOUT_CRON_MS = 3_600_000

/** Rows due shortly after the sweep after next are armed as well, because sweeps take time. */
const HORIZON_MARGIN_MS = 10_000

/** What the schedule needs of the sweep that it runs. */
export type ScheduledSweep = Pick<Sweep, 'run' | 'running' | 'blocked'>

const WATCH_EVERY_MS = 5_000

/** How much later than expected a run may begin before the watchdog begins it. */
const TOLERANCE_MS = 15_000

/** If the watchdog itself is late by more than this, the process stood still, and the schedule is not to blame. */
const STOOD_STILL_MS = 1_000

/** For how many intervals nobody may have read before that is a fault. */
const INTERVALS = 3

export class SweepSchedule {
  private task: ScheduledTask | undefined
  private watchdog: NodeJS.Timeout | undefined
  private readonly times: CronTimes | undefined
  /** When the last run began or ended; and from then, until node-cron's next run, and the longest pause that the expression allows. */
  private last = new Moment()
  private lastAt = performance.now()
  private nextMs = Number.POSITIVE_INFINITY
  private pauseMs = Number.POSITIVE_INFINITY
  /** How long the process stood still since then, and when the watchdog last ran. */
  private stoodStillMs = 0
  private watchedAt = performance.now()
  /** When the latest runs began. */
  private readonly begun: Moment[] = []

  constructor(
    private readonly fallback: Required<Fallback> | false,
    private readonly faults: Faults,
  ) {
    if (fallback) this.times = new CronTimes(fallback.cron, fallback.timezone)
  }

  start(sweep: ScheduledSweep): void {
    if (!this.fallback) return
    this.schedule(this.fallback, sweep)
    this.expectNext()
    this.watchedAt = performance.now()
    this.watchdog = setInterval(() => this.watch(sweep), WATCH_EVERY_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.watchdog)
    this.times?.close()
    await this.task?.destroy()
  }

  /** When the next sweep is due: node-cron's next run, or the watchdog's, if that one comes earlier. Null if none is scheduled. */
  get next(): Date | null {
    const next = this.task?.getNextRun() ?? null
    const watchdogAt = Date.now() + this.pauseMs - this.last.passedMs()
    return next && watchdogAt < next.getTime() - TOLERANCE_MS ? new Date(Math.max(watchdogAt, Date.now())) : next
  }

  /** From now to the sweep after next, milliseconds. */
  horizonMs(): number {
    const [, afterNext] = this.task?.getNextRuns(2) ?? []
    return afterNext ? Math.max(0, afterNext.getTime() - Date.now()) + HORIZON_MARGIN_MS : HORIZON_WITHOUT_CRON_MS
  }

  /** How long ago the run began that was three intervals before the latest one; undefined if there were not so many. */
  threeIntervalsMs(): number | undefined {
    return this.begun.length > INTERVALS ? this.begun[0]?.passedMs() : undefined
  }

  private schedule({ cron, timezone }: Required<Fallback>, sweep: ScheduledSweep): void {
    const byCron = () => {
      this.faults.clear('SWEEP_STALLED')
      return this.run(sweep)
    }
    this.task = cronModule.nodeCron().schedule(cron, byCron, { timezone, noOverlap: true, suppressMissedWarning: true, logger: SILENT })
    this.task.on('execution:missed', () => void this.run(sweep))
  }

  private async run(sweep: ScheduledSweep): Promise<void> {
    this.begun.push(new Moment())
    if (this.begun.length > INTERVALS + 1) this.begun.shift()
    this.expectNext()
    await sweep.run()
    this.expectNext() // the time that a long sweep takes is no pause
  }

  private watch(sweep: ScheduledSweep): void {
    const now = performance.now()
    const lateMs = now - this.watchedAt - WATCH_EVERY_MS
    this.watchedAt = now
    if (lateMs > STOOD_STILL_MS) this.stoodStillMs += lateMs
    if (sweep.running) return
    const overdueMs = now - this.lastAt - this.stoodStillMs - this.nextMs
    if (overdueMs >= TOLERANCE_MS) this.restart(overdueMs, sweep)
    else if (sweep.blocked)
      void sweep.run() // orders are late already, so the end of the lock is not waited for until the next minute
    else if (this.last.passedMs() >= Math.min(this.nextMs, this.pauseMs) + TOLERANCE_MS) void this.run(sweep)
  }

  /** node-cron may be waiting for a time that the clock has been set away from. A new task waits for the right one. */
  private restart(overdueMs: number, sweep: ScheduledSweep): void {
    const message = `the schedule began no sweep, ${Math.round(overdueMs / 1_000)} s after its time; sweeping now`
    this.faults.raise('SWEEP_STALLED', { message })
    void this.task?.destroy()
    this.schedule(this.fallback as Required<Fallback>, sweep)
    void this.run(sweep)
  }

  /** Reads the wall clock as it is now: what node-cron has stored may be from before the clock was set. */
  private expectNext(): void {
    const [next] = this.task?.getNextRuns(1) ?? []
    this.last = new Moment()
    this.lastAt = performance.now()
    this.stoodStillMs = 0
    this.nextMs = next ? next.getTime() - Date.now() : Number.POSITIVE_INFINITY
    this.pauseMs = this.times?.pauseAfter(new Date()) ?? Number.POSITIVE_INFINITY
  }
}

const SILENT = { info() {}, warn() {}, error() {}, debug() {} }
