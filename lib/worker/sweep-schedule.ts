// When the sweep runs: by node-cron, and by a watchdog of our own, since a slot that comes later than node-cron's tolerance is skipped
// and a wall clock that jumps can keep it waiting.

import { type ScheduledTask, schedule, validateDetailed } from 'node-cron'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'
import type { Faults } from './faults.js'
import type { Sweep } from './sweep.js'

export interface Fallback {
  /** A cron expression of five fields, or six with seconds first. */
  cron: string
  /** IANA name. Default: UTC. */
  timezone?: string
}

const EVERY_MINUTE: Required<Fallback> = { cron: '* * * * *', timezone: 'UTC' }

/** How far ahead rows are armed where no sweep is scheduled: those found at the start and after each reconnection are all there is. */
const HORIZON_WITHOUT_CRON_MS = 3_600_000

/** Rows due shortly after the sweep after next are armed as well, since sweeps take time. */
const HORIZON_MARGIN_MS = 10_000

const WATCH_EVERY_MS = 5_000

/** How much later than expected a run may begin before the watchdog begins it. */
const TOLERANCE_MS = 15_000

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
  const { valid, errors } = validateDetailed(given.cron)
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
  return { cron: given.cron, timezone }
}

export class SweepSchedule {
  private task: ScheduledTask | undefined
  private watchdog: NodeJS.Timeout | undefined
  /** By the monotonic clock: when the next run should begin. */
  private expectedAt = Number.POSITIVE_INFINITY

  constructor(
    private readonly fallback: Required<Fallback> | false,
    private readonly sweep: () => Sweep,
    private readonly faults: Faults,
  ) {}

  start(): void {
    if (!this.fallback) return
    const { cron, timezone } = this.fallback
    this.task = schedule(cron, () => this.tick(), { timezone, noOverlap: true, suppressMissedWarning: true, logger: SILENT })
    this.task.on('execution:missed', () => void this.tick())
    this.expectNext()
    this.watchdog = setInterval(() => this.watch(), WATCH_EVERY_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.watchdog)
    await this.task?.destroy()
  }

  /** When the next sweep is due by the schedule. */
  get next(): Date | null {
    return this.task?.getNextRun() ?? null
  }

  /** From now to the sweep after next, in milliseconds. */
  horizonMs(): number {
    const [, afterNext] = this.task?.getNextRuns(2) ?? []
    return afterNext ? Math.max(0, afterNext.getTime() - Date.now()) + HORIZON_MARGIN_MS : HORIZON_WITHOUT_CRON_MS
  }

  private async tick(): Promise<void> {
    this.expectNext()
    await this.sweep().run()
    this.faults.clear('SWEEP_STALLED')
  }

  private watch(): void {
    const lateMs = performance.now() - this.expectedAt
    if (lateMs < TOLERANCE_MS) return
    const message = `the schedule began no sweep, ${Math.round(lateMs / 1_000)} s after its time; sweeping now`
    this.faults.raise('SWEEP_STALLED', { message })
    void this.tick()
  }

  /** Reckoned from the wall clock as it is now: what node-cron has stored may be from before the clock was set. */
  private expectNext(): void {
    const [next] = this.task?.getNextRuns(1) ?? []
    this.expectedAt = next ? performance.now() + next.getTime() - Date.now() : Number.POSITIVE_INFINITY
  }
}

const SILENT = { info() {}, warn() {}, error() {}, debug() {} }
