// Runs the sweep on schedule. node-cron parses the expression and computes the times of its runs; this file has its own timer. node-cron's timer steps
// through every run that a clock change has skipped, which blocks the event loop: a second or more for each thousand runs, minutes if a
// clock was wrong by a year. It also keeps waiting for a time after the clock was set back, and some runs do not exist on the day when
// daylight saving begins. Here the wall clock is read again every few seconds, and no pause is longer than the expression's own.

import type { ScheduledTask } from 'node-cron'
import { Loop } from '../../loop.js'
import { Moment } from '../../moment.js'
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

const LONGEST_WAIT_MS = 5_000

/** How much longer than expected a pause may last, in elapsed time, before a run begins that is not due by the wall clock. */
const TOLERANCE_MS = 15_000

/** The difference between wall clock and monotonic clock from which the next run is computed again. */
const CLOCK_WAS_SET_MS = 500

/** After this many intervals without a reading it is a fault. */
const INTERVALS = 3

export class SweepSchedule {
  readonly loop = new Loop('sweep schedule')
  /** Never started: it only computes the times of its runs. */
  private readonly task: ScheduledTask | undefined
  private readonly times: CronTimes | undefined
  private timer: NodeJS.Timeout | undefined
  /** The next run by the wall clock. */
  private nextAt = Number.POSITIVE_INFINITY
  /** The wall clock minus the monotonic one, when `nextAt` was computed. */
  private offset = wallOffset()
  /** When the last run began or ended, and the longest pause that may follow it. */
  private last = new Moment()
  private pauseMs = Number.POSITIVE_INFINITY
  /** When the latest runs began. */
  private readonly begun: Moment[] = []
  /** The interval between runs: the longer one of the present interval and the next; undefined if none is scheduled. */
  intervalMs: number | undefined

  constructor(fallback: Required<Fallback> | false) {
    if (!fallback) return
    const { cron, timezone } = fallback
    this.task = cronModule.nodeCron().createTask(cron, () => {}, { timezone })
    this.times = new CronTimes(cron, timezone)
  }

  start(sweep: ScheduledSweep): void {
    if (!this.task) return
    this.expectInterval()
    this.wait(sweep)
  }

  async stop(): Promise<void> {
    clearTimeout(this.timer)
    this.loop.rests()
    this.times?.close()
    await this.task?.destroy()
  }

  /** When the next sweep is due, by the wall clock or by the longest pause. Null if none is scheduled. */
  get next(): Date | null {
    if (!this.task) return null
    const longestAt = Date.now() + this.pauseMs - this.last.passedMs()
    return new Date(longestAt < this.nextAt - TOLERANCE_MS ? Math.max(longestAt, Date.now()) : this.nextAt)
  }

  /** From now to the sweep after next, milliseconds. */
  horizonMs(): number {
    const [, afterNext] = this.task?.getNextRuns(2) ?? []
    return afterNext ? Math.max(0, afterNext.getTime() - Date.now()) + HORIZON_MARGIN_MS : HORIZON_WITHOUT_CRON_MS
  }

  /** How long ago the run three intervals before the latest one began; undefined if there were fewer. */
  threeIntervalsMs(): number | undefined {
    return this.begun.length > INTERVALS ? this.begun[0]?.passedMs() : undefined
  }

  private wait(sweep: ScheduledSweep): void {
    this.loop.turned()
    const waitMs = Math.min(Math.max(0, this.nextAt - Date.now()), LONGEST_WAIT_MS)
    this.timer = setTimeout(() => this.look(sweep), waitMs)
  }

  /** A run that comes due during another one is skipped. */
  private look(sweep: ScheduledSweep): void {
    const isDue = Date.now() >= this.nextAt || this.last.passedMs() >= this.pauseMs + TOLERANCE_MS
    // While another session held the lock, orders became late, so a run begins at once and not at the next scheduled time.
    if (!sweep.running && (isDue || sweep.blocked)) void this.run(sweep)
    else if (isDue || Math.abs(wallOffset() - this.offset) > CLOCK_WAS_SET_MS) this.expectRun()
    this.wait(sweep)
  }

  private async run(sweep: ScheduledSweep): Promise<void> {
    this.begun.push(new Moment())
    if (this.begun.length > INTERVALS + 1) this.begun.shift()
    this.expectInterval()
    await sweep.run()
    this.expectNext() // the duration of a long sweep does not count as a pause
  }

  private expectInterval(): void {
    this.expectNext()
    const [next, afterNext] = this.task?.getNextRuns(2) ?? []
    this.intervalMs = Math.max(this.pauseMs, next && afterNext ? afterNext.getTime() - next.getTime() : 0)
  }

  private expectNext(): void {
    this.last = new Moment()
    this.expectRun()
    this.pauseMs = Math.min(this.nextAt - Date.now(), this.times?.pauseAfter(new Date()) ?? Number.POSITIVE_INFINITY)
  }

  private expectRun(): void {
    this.nextAt = this.task?.getNextRuns(1)[0]?.getTime() ?? Number.POSITIVE_INFINITY
    this.offset = wallOffset()
  }
}

function wallOffset(): number {
  return Date.now() - performance.now()
}
