// When the sweep runs: by node-cron, and by a watchdog of our own that goes by the time that has passed. node-cron skips a slot that comes
// later than its tolerance, a clock that is set can keep it waiting, and where daylight saving begins a slot may not exist at all.

import type { ScheduledTask } from 'node-cron'
import { OrderTimersError, refuseUnknownOptions, show } from '../../errors.js'
import { Moment } from '../../moment.js'
import type { Faults } from '../faults.js'
import { CronTimes } from './cron-times.js'
import cronModule from './node-cron.cjs'
import type { Sweep } from './sweep.js'

export interface Fallback {
  /** A cron expression of five fields, or six with seconds first. */
  cron: string
  /** IANA name. Default: UTC. */
  timezone?: string
}

/** What the schedule asks of the sweep that it runs. */
export type ScheduledSweep = Pick<Sweep, 'run' | 'running' | 'blocked'>

const EVERY_MINUTE: Required<Fallback> = { cron: '* * * * *', timezone: 'UTC' }

/** How far ahead rows are armed where no sweep is scheduled: those found at the start and after each reconnection are all there is. */
const HORIZON_WITHOUT_CRON_MS = 3_600_000

/** Rows due shortly after the sweep after next are armed as well, since sweeps take time. */
const HORIZON_MARGIN_MS = 10_000

const WATCH_EVERY_MS = 5_000

/** How much later than expected a run may begin before the watchdog begins it. */
const TOLERANCE_MS = 15_000

/** A watch that is late by more than this shows that the process stood still, which is no fault of the schedule's. */
const STOPPED_MS = 1_000

/** For how many intervals nobody may have read before that is a fault. */
const INTERVALS = 3

/** @throws OrderTimersError INVALID_OPTION */
export function parseFallback(value: unknown): Required<Fallback> | false {
  if (value === false) return false
  if (value === undefined) return EVERY_MINUTE
  const given = typeof value === 'string' ? { cron: value } : (value as Partial<Fallback> | null)
  const shape = `a cron expression such as '* * * * *', { cron, timezone } or false`
  if (given === null || typeof given !== 'object' || typeof given.cron !== 'string') {
    throw new OrderTimersError('INVALID_OPTION', `startExpiryWorker: "fallback" must be ${shape}, got ${show(value)}`)
  }
  refuseUnknownOptions('startExpiryWorker: "fallback"', given, ['cron', 'timezone'])
  const { valid, errors } = cronModule.nodeCron().validateDetailed(given.cron)
  if (!valid) {
    const why = errors.map(({ message }) => message).join('; ')
    throw new OrderTimersError('INVALID_OPTION', `startExpiryWorker: "fallback" must be ${shape}, got ${show(given.cron)} (${why})`)
  }
  const timezone = given.timezone ?? EVERY_MINUTE.timezone
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch (cause) {
    const message = `startExpiryWorker: "fallback.timezone" must be an IANA time zone such as 'UTC' or 'Asia/Taipei', got ${show(timezone)}`
    throw new OrderTimersError('INVALID_OPTION', message, { cause })
  }
  if (!comesEver(given.cron, timezone)) {
    throw new OrderTimersError('INVALID_OPTION', `startExpiryWorker: "fallback" ${show(given.cron)} names no day that ever comes`)
  }
  return { cron: given.cron, timezone }
}

function comesEver(cron: string, timezone: string): boolean {
  const times = new CronTimes(cron, timezone)
  try {
    return times.pauseAfter(new Date()) < Number.POSITIVE_INFINITY
  } finally {
    times.close()
  }
}

export class SweepSchedule {
  private task: ScheduledTask | undefined
  private watchdog: NodeJS.Timeout | undefined
  private readonly times: CronTimes | undefined
  /** When the last run began or ended, and from then: node-cron's next run, and the longest pause that the expression has there. */
  private last = new Moment()
  private lastAt = performance.now()
  private nextMs = Number.POSITIVE_INFINITY
  private pauseMs = Number.POSITIVE_INFINITY
  /** Of the time since then, how long the process stood still; and when the watchdog last looked. */
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

  /** When the next sweep is due: by the schedule, or by ourselves where the schedule has a longer pause than its expression says. */
  get next(): Date | null {
    const next = this.task?.getNextRun() ?? null
    const ownAt = Date.now() + this.pauseMs - this.last.passedMs()
    return next && ownAt < next.getTime() - TOLERANCE_MS ? new Date(Math.max(ownAt, Date.now())) : next
  }

  /** From now to the sweep after next, in milliseconds. */
  horizonMs(): number {
    const [, afterNext] = this.task?.getNextRuns(2) ?? []
    return afterNext ? Math.max(0, afterNext.getTime() - Date.now()) + HORIZON_MARGIN_MS : HORIZON_WITHOUT_CRON_MS
  }

  /** How long ago the run began that was three intervals before the latest one; undefined where there were not so many. */
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
    this.expectNext() // a sweep that takes long is no pause
  }

  private watch(sweep: ScheduledSweep): void {
    const now = performance.now()
    const lateMs = now - this.watchedAt - WATCH_EVERY_MS
    this.watchedAt = now
    if (lateMs > STOPPED_MS) this.stoodStillMs += lateMs
    if (sweep.running) return
    const overdueMs = now - this.lastAt - this.stoodStillMs - this.nextMs
    if (overdueMs >= TOLERANCE_MS) this.stalled(overdueMs, sweep)
    else if (sweep.blocked)
      void sweep.run() // orders are late already, so the lock's end is not waited for by the minute
    else if (this.last.passedMs() >= Math.min(this.nextMs, this.pauseMs) + TOLERANCE_MS) void this.run(sweep)
  }

  /** node-cron may wait for a time that the clock has been set away from, so it is asked to begin again. */
  private stalled(overdueMs: number, sweep: ScheduledSweep): void {
    const message = `the schedule began no sweep, ${Math.round(overdueMs / 1_000)} s after its time; sweeping now`
    this.faults.raise('SWEEP_STALLED', { message })
    void this.task?.destroy()
    this.schedule(this.fallback as Required<Fallback>, sweep)
    void this.run(sweep)
  }

  /** By the wall clock as it is now: what node-cron has stored may be from before the clock was set. */
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
