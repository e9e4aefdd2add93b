// A calendar reckoned another way than the package's: by what Intl says a wall clock shows, day by day and quarter by quarter of an hour.

export interface Reading {
  date: string
  weekday: number
  /** Minutes since midnight. */
  minute: number
}

const formats = new Map<string, Intl.DateTimeFormat>()

export function wallClock(timeZone: string, ms: number): Reading {
  let format = formats.get(timeZone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short', timeStyle: 'short', hourCycle: 'h23' })
    formats.set(timeZone, format)
  }
  const [, date = '', hour, minute] = /^(\d{4}-\d\d-\d\d), (\d\d):(\d\d)/.exec(format.format(ms)) ?? []
  return { date, weekday: weekdayOf(date), minute: Number(hour) * 60 + Number(minute) }
}

export function dayAfter(date: string, days = 1): string {
  return new Date(Date.parse(date) + days * 86_400_000).toISOString().slice(0, 10)
}

export function weekdayOf(date: string): number {
  return new Date(date).getUTCDay() || 7
}

export interface Open {
  isWorkday: (date: string) => boolean
  /** Minutes; what closes at or before it opens goes on over midnight. */
  hours: readonly (readonly [number, number])[]
}

export function isOpen({ isWorkday, hours }: Open, { date, minute }: Reading): boolean {
  return hours.some(([opens, closes]) =>
    closes > opens
      ? isWorkday(date) && minute >= opens && minute < closes
      : (isWorkday(date) && minute >= opens) || (isWorkday(dayAfter(date, -1)) && minute < closes),
  )
}
