// Computes with working days and hours. Days are counted by their dates in the calendar's time zone, hours by elapsed time while
// it is open. A local time that is skipped means the later instant; one that occurs twice means the earlier.

import type { Temporal } from '@js-temporal/polyfill'
import { OrderTimersError, show } from '../errors.js'
import { type CalendarOptions, type ParsedCalendar, parseCalendar, type Span } from './options.js'
import temporalModule from './temporal.cjs'

type Date8601 = Temporal.PlainDate

/** Milliseconds since 1970. */
interface Opening {
  opens: number
  closes: number
}

export interface Calendar {
  /**
   * The same time of day, `n` working days later. From a day off, counting starts at the end of that day: Saturday plus 1 is
   * Monday.
   * @param from a Date, or milliseconds since 1970
   * @param n from 0 to 10,000; 0 is `from` itself on a working day, otherwise the same time on the next one
   * @throws OrderTimersError INVALID_DURATION for `n`, INVALID_DEADLINE for `from`, NO_WORKING_DAY if ten years have none
   */
  addBusinessDays(from: Date | number, n: number): Date
  /**
   * When `n` opening hours have passed. A result at closing time is the closing time, not the next opening.
   * @param n from 0 to 10,000, with fractions; 0 is `from` itself while it is open, otherwise the next opening
   * @throws as `addBusinessDays`
   */
  addBusinessHours(from: Date | number, n: number): Date
  /**
   * The last closing time of a working day: with 0 of the first that has not closed yet, with `n` of the nth after that.
   * @param n from 0 to 10,000; 0 by default
   * @throws as `addBusinessDays`
   */
  endOfBusinessDay(from: Date | number, n?: number): Date
}

const MOST = 10_000
const HOUR_MS = 3_600_000
/** Ten years. */
const MOST_DAYS_OFF = 3_653
/** The end of the year 9999. */
const LATEST_MS = 253_402_300_799_999
const DAY_MINUTES = 24 * 60

/**
 * Makes a calendar of working days and hours, for `after` as a function and for `at`.
 * @throws OrderTimersError INVALID_OPTION, MISSING_PACKAGE
 */
export function calendar(options: CalendarOptions): Calendar {
  return new WorkCalendar(findTemporal(), options)
}

function findTemporal(): typeof Temporal {
  try {
    return temporalModule.temporal()
  } catch (cause) {
    const problem = 'this Node.js has no Temporal, and the package that brings it is not installed'
    throw new OrderTimersError('MISSING_PACKAGE', `calendar: ${problem}; npm install @js-temporal/polyfill`, { cause })
  }
}

class WorkCalendar implements Calendar {
  private readonly options: ParsedCalendar

  constructor(
    private readonly temporal: typeof Temporal,
    options: CalendarOptions,
  ) {
    this.options = parseCalendar(options, (text) => isDate(temporal, text))
  }

  addBusinessDays(from: Date | number, n: number): Date {
    const start = this.wallClock(from)
    const date = start.toPlainDate()
    const days = this.workdays(date)
    if (count(n) === 0) {
      const first = days.next().value
      return first.equals(date) ? new Date(start.epochMilliseconds) : this.at(first, start.toPlainTime())
    }
    const passed = this.isWorkday(date) ? n + 1 : n
    let found = date
    for (let i = 0; i < passed; i += 1) found = days.next().value
    return this.at(found, start.toPlainTime())
  }

  addBusinessHours(from: Date | number, n: number): Date {
    const start = this.wallClock(from)
    const fromMs = start.epochMilliseconds
    let leftMs = Math.round(hours(n) * HOUR_MS)
    for (const date of this.workdays(start.toPlainDate().subtract({ days: 1 }))) {
      for (const { opens, closes } of this.openings(date)) {
        if (closes <= fromMs) continue
        const begins = Math.max(opens, fromMs)
        if (leftMs <= closes - begins) return new Date(begins + leftMs)
        leftMs -= closes - begins
      }
    }
    throw noWorkingDay(start.toPlainDate()) // never reached: `days` throws this error itself
  }

  endOfBusinessDay(from: Date | number, n = 0): Date {
    const start = this.wallClock(from)
    let left = count(n)
    for (const date of this.workdays(start.toPlainDate().subtract({ days: 1 }))) {
      const closes = this.openings(date).at(-1)?.closes
      if (closes === undefined || closes <= start.epochMilliseconds) continue
      if (left === 0) return new Date(closes)
      left -= 1
    }
    throw noWorkingDay(start.toPlainDate())
  }

  /** The working days beginning with a date. @throws OrderTimersError NO_WORKING_DAY */
  private *workdays(from: Date8601): Generator<Date8601, never> {
    let off = 0
    for (let date = from; ; date = date.add({ days: 1 })) {
      if (this.isWorkday(date)) {
        off = 0
        yield date
      } else {
        off += 1
        if (off > MOST_DAYS_OFF) throw noWorkingDay(from)
      }
    }
  }

  private isWorkday(date: Date8601): boolean {
    const { weekdays, isHoliday, isExtra } = this.options
    const text = date.toString()
    return (weekdays.has(date.dayOfWeek) || isExtra(text)) && !isHoliday(text)
  }

  /** Without opening hours that fall completely into a skipped hour. */
  private openings(date: Date8601): Opening[] {
    return this.options.spans
      .map((span: Span) => ({ opens: this.minute(date, span.opens), closes: this.minute(date, span.closes) }))
      .filter(({ opens, closes }) => closes > opens)
  }

  private minute(date: Date8601, minutes: number): number {
    const day = minutes < DAY_MINUTES ? date : date.add({ days: 1 })
    const rest = minutes % DAY_MINUTES
    const time = new this.temporal.PlainTime(Math.floor(rest / 60), rest % 60)
    return this.at(day, time).getTime()
  }

  private at(date: Date8601, plainTime: Temporal.PlainTime): Date {
    return new Date(date.toZonedDateTime({ timeZone: this.options.timeZone, plainTime }).epochMilliseconds)
  }

  private wallClock(from: Date | number): Temporal.ZonedDateTime {
    const ms = from instanceof Date ? from.getTime() : from
    if (!Number.isInteger(ms) || Math.abs(ms) > LATEST_MS) {
      const problem = `"from" must be a Date or milliseconds since 1970, up to the year 9999, got ${show(from)}`
      throw new OrderTimersError('INVALID_DEADLINE', `calendar: ${problem}`)
    }
    return this.temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(this.options.timeZone)
  }
}

function count(n: number): number {
  if (Number.isInteger(n) && n >= 0 && n <= MOST) return n
  throw new OrderTimersError('INVALID_DURATION', `calendar: working days must be a whole number from 0 to ${MOST}, got ${show(n)}`)
}

function hours(n: number): number {
  if (typeof n === 'number' && n >= 0 && n <= MOST) return n
  throw new OrderTimersError('INVALID_DURATION', `calendar: working hours must be a number from 0 to ${MOST}, got ${show(n)}`)
}

function isDate(temporal: typeof Temporal, text: string): boolean {
  try {
    temporal.PlainDate.from(text)
    return true
  } catch {
    return false
  }
}

function noWorkingDay(from: Date8601): OrderTimersError {
  const problem = `there is no working day in the ten years from ${from}; look at "workdays" and "holidays"`
  return new OrderTimersError('NO_WORKING_DAY', `calendar: ${problem}`)
}
