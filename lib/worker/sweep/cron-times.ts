// When a cron expression would run if the clocks of its time zone never changed. A clock change can skip a run, or an hour of
// runs. This gives the longest allowed pause between two runs.

import type { ScheduledTask } from 'node-cron'
import cron from './node-cron.cjs'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** A 29 February on a given weekday comes every 28 years; across the year 2100, after 40. */
const MOST_DAYS = 41 * 366

export class CronTimes {
  private readonly seconds: readonly number[]
  private readonly minutes: readonly number[]
  private readonly hours: readonly number[]
  private readonly days: ScheduledTask
  private readonly format: Intl.DateTimeFormat

  constructor(expression: string, timezone: string) {
    const { createTask, parse } = cron.nodeCron()
    const { second, minute, hour } = parse(expression)
    this.seconds = ascending(second)
    this.minutes = ascending(minute)
    this.hours = ascending(hour)
    this.days = createTask(expression, () => {}, { timezone: 'UTC' })
    this.format = new Intl.DateTimeFormat('en-US', { timeZone: timezone, hourCycle: 'h23', ...PARTS })
  }

  /** Milliseconds from `moment` to the next run, if the clocks are not changed in between; infinite if there is none. */
  pauseAfter(moment: Date): number {
    const wall = this.wallTime(moment)
    const today = Math.floor(wall / DAY_MS) * DAY_MS
    for (let day = today; day < today + MOST_DAYS * DAY_MS; day += DAY_MS) {
      if (!this.isRunDay(day)) continue
      const run = this.firstOn(day, wall)
      if (run !== undefined) return run - wall
    }
    return Number.POSITIVE_INFINITY
  }

  close(): void {
    void this.days.destroy()
  }

  private isRunDay(day: number): boolean {
    const [hour = 0, minute = 0, second = 0] = [this.hours[0], this.minutes[0], this.seconds[0]]
    return this.days.match(new Date(day + hour * HOUR_MS + minute * 60_000 + second * 1_000))
  }

  private firstOn(day: number, after: number): number | undefined {
    for (const hour of this.hours) {
      const atHour = day + hour * HOUR_MS
      if (atHour + HOUR_MS <= after) continue
      for (const minute of this.minutes) {
        const atMinute = atHour + minute * 60_000
        if (atMinute + 60_000 <= after) continue
        for (const second of this.seconds) if (atMinute + second * 1_000 > after) return atMinute + second * 1_000
      }
    }
    return undefined
  }

  /** The local time of the zone, as if it were UTC. */
  private wallTime(moment: Date): number {
    const parts: Record<string, number> = {}
    for (const { type, value } of this.format.formatToParts(moment)) parts[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
    return Date.UTC(year, month - 1, day, hour, minute, second, moment.getMilliseconds())
  }
}

const PARTS = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' } as const

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}
