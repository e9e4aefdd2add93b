// The options of a calendar, checked and parsed.

import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'

/** When a working day opens and closes, as `['09:00', '18:00']`, in local time. */
export type Hours = readonly [opens: string, closes: string]

export interface CalendarOptions {
  /** The time zone of dates and hours: an IANA name, such as `Asia/Taipei`. */
  timeZone: string
  /** The working weekdays, as in ISO 8601: Monday is 1, Sunday is 7. Monday to Friday by default. */
  workdays?: readonly number[]
  /**
   * When a working day is open: `['09:00', '18:00']`, or several, `[['09:00', '12:00'], ['13:00', '18:00']]`. Hours that close before they
   * open continue over midnight and belong to the day on which they open. The whole day by default.
   */
  hours?: Hours | readonly Hours[]
  /** Days off, such as `2026-01-01`, or a function that returns true for a day off. */
  holidays?: Iterable<string> | ((date: string) => boolean)
  /** Working days although their weekday is not one. A date that is also a holiday is a day off. */
  extraWorkdays?: Iterable<string>
}

/** Minutes from the beginning of the day; `closes` may lie in the next one. */
export interface Span {
  opens: number
  closes: number
}

export interface ParsedCalendar {
  timeZone: string
  spans: readonly Span[]
  isHoliday: (date: string) => boolean
  isExtra: (date: string) => boolean
  weekdays: ReadonlySet<number>
}

const KNOWN = ['timeZone', 'workdays', 'hours', 'holidays', 'extraWorkdays']
const DAY = 24 * 60
const WHOLE_DAY: Hours = ['00:00', '24:00']

/** @throws OrderTimersError INVALID_OPTION */
export function parseCalendar(options: CalendarOptions, isDate: (text: string) => boolean): ParsedCalendar {
  refuseUnknownOptions('calendar', options, KNOWN)
  const { timeZone, workdays = [1, 2, 3, 4, 5], hours = WHOLE_DAY, holidays = [], extraWorkdays = [] } = options
  const extra = dates('extraWorkdays', extraWorkdays, isDate)
  const weekdays = parseWorkdays(workdays)
  if (weekdays.size === 0 && extra.size === 0) {
    throw invalid('"workdays" is empty, so there is no working day; name at least one, such as [1, 2, 3, 4, 5]')
  }
  const off = typeof holidays === 'function' ? holidays : dates('holidays', holidays, isDate)
  return {
    timeZone: parseTimeZone(timeZone),
    spans: parseHours(hours),
    weekdays,
    isHoliday: typeof off === 'function' ? (date) => said(off(date), date) : (date) => off.has(date),
    isExtra: (date) => extra.has(date),
  }
}

function parseTimeZone(timeZone: unknown): string {
  if (typeof timeZone !== 'string')
    throw invalid(`"timeZone" must be the IANA name of a time zone, such as "Asia/Taipei", got ${show(timeZone)}`)
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone
  } catch {
    throw invalid(`"timeZone" ${show(timeZone)} is not known here; use an IANA name, such as "Asia/Taipei"`)
  }
}

function parseWorkdays(workdays: unknown): ReadonlySet<number> {
  if (!Array.isArray(workdays)) throw invalid(`"workdays" must be a list of weekdays from 1 (Monday) to 7 (Sunday), got ${show(workdays)}`)
  for (const day of workdays) {
    if (!Number.isInteger(day) || day < 1 || day > 7) {
      throw invalid(`"workdays" has ${show(day)}, which is no weekday; Monday is 1, Sunday is 7`)
    }
  }
  return new Set(workdays)
}

function parseHours(hours: unknown): readonly Span[] {
  const isOne = Array.isArray(hours) && hours.length === 2 && hours.every((end) => typeof end === 'string')
  const list = isOne ? [hours] : hours
  if (!Array.isArray(list) || list.length === 0)
    throw invalid(`"hours" must be such as ["09:00", "18:00"], or a list of such, got ${show(hours)}`)
  const spans = list.map(parseSpan).sort((a, b) => a.opens - b.opens)
  for (const [index, { opens, closes }] of spans.entries()) {
    const next = spans[index + 1]?.opens ?? (spans[0] as Span).opens + DAY
    if (closes > next) throw invalid(`"hours" overlap: ${clock(opens)} to ${clock(closes)} goes beyond ${clock(next)}, when the next begin`)
  }
  return spans
}

function parseSpan(hours: unknown): Span {
  const [opens, closes] = Array.isArray(hours) && hours.length === 2 ? hours.map(minutes) : []
  if (opens === undefined || closes === undefined || opens === closes || opens === DAY) {
    throw invalid(`"hours" has ${show(hours)}; write them as ["09:00", "18:00"], and the whole day as ["00:00", "24:00"]`)
  }
  return { opens, closes: closes > opens ? closes : closes + DAY }
}

function minutes(text: unknown): number | undefined {
  const found = typeof text === 'string' ? /^(\d\d):(\d\d)$/.exec(text) : null
  if (!found) return undefined
  const [hour, minute] = [Number(found[1]), Number(found[2])]
  return minute < 60 && hour * 60 + minute <= DAY ? hour * 60 + minute : undefined
}

function clock(minutes: number): string {
  const pad = (value: number) => String(value).padStart(2, '0')
  return `${pad(Math.floor(minutes / 60) % 24)}:${pad(minutes % 60)}`
}

function dates(name: string, values: unknown, isDate: (text: string) => boolean): ReadonlySet<string> {
  if (typeof values === 'string' || typeof (values as Iterable<unknown> | null)?.[Symbol.iterator] !== 'function') {
    throw invalid(`"${name}" must be a list of dates, such as ["2026-01-01"], got ${show(values)}`)
  }
  const list = [...(values as Iterable<unknown>)]
  for (const value of list) {
    if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(value) || !isDate(value)) {
      throw invalid(`"${name}" has ${show(value)}, which is no date; write dates as "2026-01-01"`)
    }
  }
  return new Set(list as string[])
}

function said(answer: unknown, date: string): boolean {
  if (typeof answer === 'boolean') return answer
  throw invalid(`"holidays" must return true or false, and returned ${show(answer)} for ${date}`)
}

function invalid(problem: string): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `calendar: ${problem}`)
}
