import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type CalendarOptions, calendar, type Hours } from '../../lib/calendar.js'
import { dayAfter, isOpen, wallClock, weekdayOf } from './wall-clock.js'

const taipei = (options: Partial<CalendarOptions> = {}) => calendar({ timeZone: 'Asia/Taipei', hours: ['09:00', '18:00'], ...options })
/** By Taipei's clock. 2026-11-27 is a Friday. */
const at = (text: string) => new Date(`2026-${text}:00+08:00`)
const QUARTER_MS = 15 * 60_000

describe('a calendar', () => {
  describe('in working days', () => {
    it('keeps the time of day', () => {
      assert.deepEqual(taipei().addBusinessDays(at('11-27T10:20'), 1), at('11-30T10:20'))
      assert.deepEqual(taipei().addBusinessDays(at('11-23T10:20'), 4), at('11-27T10:20'))
      assert.deepEqual(taipei().addBusinessDays(at('11-27T03:00').getTime(), 5), at('12-04T03:00'))
    })

    it('counts from the end of a day that is not worked on', () => {
      assert.deepEqual(taipei().addBusinessDays(at('11-28T10:20'), 1), at('11-30T10:20'))
      assert.deepEqual(taipei().addBusinessDays(at('11-29T10:20'), 2), at('12-01T10:20'))
    })

    it('with 0 stays on a working day, and else goes to the next', () => {
      assert.deepEqual(taipei().addBusinessDays(at('11-27T23:59'), 0), at('11-27T23:59'))
      assert.deepEqual(taipei().addBusinessDays(at('11-28T10:20'), 0), at('11-30T10:20'))
    })

    it('leaves out holidays, and works on extra days', () => {
      const days = taipei({ holidays: ['2026-11-30'], extraWorkdays: ['2026-11-28', '2026-11-30'] })
      assert.deepEqual(days.addBusinessDays(at('11-27T10:20'), 1), at('11-28T10:20'))
      assert.deepEqual(days.addBusinessDays(at('11-27T10:20'), 2), at('12-01T10:20'))
      const told = taipei({ holidays: (date) => date.startsWith('2026-11') })
      assert.deepEqual(told.addBusinessDays(at('11-27T10:20'), 1), at('12-01T10:20'))
    })

    it('knows ISO weekdays: Monday is 1, Sunday 7', () => {
      assert.deepEqual(taipei({ workdays: [7] }).addBusinessDays(at('11-27T10:00'), 2), at('12-06T10:00'))
    })

    it('takes a time that the clock skips for the later, and one that it shows twice for the earlier', () => {
      const berlin = calendar({ timeZone: 'Europe/Berlin', workdays: [1, 2, 3, 4, 5, 6, 7] })
      assert.deepEqual(berlin.addBusinessDays(new Date('2026-03-28T01:30:00Z'), 1), new Date('2026-03-29T01:30:00Z')) // 2:30, which is 3:30
      assert.deepEqual(berlin.addBusinessDays(new Date('2026-10-24T00:30:00Z'), 1), new Date('2026-10-25T00:30:00Z')) // the first 2:30
    })
  })

  describe('in working hours', () => {
    it('counts only while it is open', () => {
      assert.deepEqual(taipei().addBusinessHours(at('11-27T17:00'), 3), at('11-30T11:00'))
      assert.deepEqual(taipei().addBusinessHours(at('11-27T10:00'), 2.5), at('11-27T12:30'))
    })

    it('begins when it opens next, and with 0 says when that is', () => {
      assert.deepEqual(taipei().addBusinessHours(at('11-27T20:00'), 1), at('11-30T10:00'))
      assert.deepEqual(taipei().addBusinessHours(at('11-27T20:00'), 0), at('11-30T09:00'))
      assert.deepEqual(taipei().addBusinessHours(at('11-27T18:00'), 0), at('11-30T09:00'))
      assert.deepEqual(taipei().addBusinessHours(at('11-27T12:34'), 0), at('11-27T12:34'))
    })

    it('ends when it closes, not when it opens again', () => {
      assert.deepEqual(taipei().addBusinessHours(at('11-27T09:00'), 9), at('11-27T18:00'))
    })

    it('leaves out a lunch break', () => {
      const lunch = taipei({
        hours: [
          ['13:00', '18:00'],
          ['09:00', '12:00'],
        ],
      })
      assert.deepEqual(lunch.addBusinessHours(at('11-27T11:00'), 2), at('11-27T14:00'))
      assert.deepEqual(lunch.addBusinessHours(at('11-27T12:30'), 0), at('11-27T13:00'))
    })

    it('goes on over midnight for the day on which it opened', () => {
      const night = taipei({ hours: ['22:00', '06:00'] })
      assert.deepEqual(night.addBusinessHours(at('11-28T02:00'), 4), at('11-28T06:00'))
      assert.deepEqual(night.addBusinessHours(at('11-28T02:00'), 5), at('11-30T23:00'))
      assert.deepEqual(night.endOfBusinessDay(at('11-28T02:00')), at('11-28T06:00'))
    })

    it('counts the hours that pass where a clock is changed', () => {
      const night = calendar({ timeZone: 'Europe/Berlin', workdays: [6], hours: ['22:00', '06:00'] })
      assert.deepEqual(night.addBusinessHours(new Date('2026-03-28T21:00:00Z'), 7), new Date('2026-03-29T04:00:00Z')) // until 6:00, seven hours
      assert.deepEqual(night.addBusinessHours(new Date('2026-10-24T20:00:00Z'), 9), new Date('2026-10-25T05:00:00Z')) // until 6:00, nine hours
    })
  })

  describe("at a day's end", () => {
    it('is when it closes: today, if it has not closed yet', () => {
      assert.deepEqual(taipei().endOfBusinessDay(at('11-27T08:00')), at('11-27T18:00'))
      assert.deepEqual(taipei().endOfBusinessDay(at('11-27T18:00')), at('11-30T18:00'))
      assert.deepEqual(taipei().endOfBusinessDay(at('11-28T08:00')), at('11-30T18:00'))
      assert.deepEqual(taipei().endOfBusinessDay(at('11-27T08:00'), 2), at('12-01T18:00'))
    })

    it('without hours is midnight', () => {
      assert.deepEqual(calendar({ timeZone: 'Asia/Taipei' }).endOfBusinessDay(at('11-27T08:00')), at('11-28T00:00'))
    })
  })

  describe('in any zone', () => {
    const zones = Intl.supportedValuesOf('timeZone')
    const HOURS: [Hours | Hours[], (readonly [number, number])[]][] = [
      [['09:00', '18:00'], [[540, 1080]]],
      [
        [
          ['08:15', '12:00'],
          ['13:00', '17:45'],
        ],
        [
          [495, 720],
          [780, 1065],
        ],
      ],
      [['22:00', '06:00'], [[1320, 360]]],
    ]
    const ten = [Date.UTC(2020, 0), Date.UTC(2030, 0)] as const
    const cases = fc.record({
      timeZone: fc.constantFrom(...zones),
      hours: fc.constantFrom(...HOURS),
      workdays: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      quarters: fc.integer({ min: ten[0] / QUARTER_MS, max: ten[1] / QUARTER_MS }),
      holidays: fc.array(fc.integer({ min: -3, max: 12 }), { maxLength: 4 }),
    })

    function made({
      timeZone,
      hours: [hours, minutes],
      workdays,
      quarters,
      holidays,
    }: typeof cases extends fc.Arbitrary<infer T> ? T : never) {
      const from = quarters * QUARTER_MS
      const start = wallClock(timeZone, from)
      const off = holidays.map((days) => dayAfter(start.date, days))
      const isWorkday = (date: string) => workdays.includes(weekdayOf(date)) && !off.includes(date)
      return { from, start, isWorkday, minutes, work: calendar({ timeZone, workdays, hours, holidays: off }) }
    }

    it('finds the working day that counting the days one by one finds', () => {
      const property = fc.property(cases, fc.integer({ min: 0, max: 30 }), (given, n) => {
        const { from, start, isWorkday, work } = made(given)
        let date = isWorkday(start.date) || n > 0 ? start.date : dayAfter(start.date)
        if (n === 0) while (!isWorkday(date)) date = dayAfter(date)
        for (let left = n; left > 0; ) {
          date = dayAfter(date)
          if (isWorkday(date)) left -= 1
        }
        const found = wallClock(given.timeZone, work.addBusinessDays(from, n).getTime())
        assert.equal(found.date, date)
        const skipped = found.minute - start.minute
        assert.ok(skipped === 0 || (skipped > 0 && skipped <= 60), `${skipped} minutes later by the clock`)
      })
      fc.assert(property, { numRuns: 400 })
    })

    it('finds the hour that counting the quarters of an hour one by one finds', () => {
      const property = fc.property(cases, fc.integer({ min: 0, max: 60 }), (given, n) => {
        const { from, isWorkday, minutes, work } = made(given)
        const open = (ms: number) => isOpen({ isWorkday, hours: minutes }, wallClock(given.timeZone, ms))
        let ms = from
        for (let left = n; left > 0 || (n === 0 && !open(ms)); ms += QUARTER_MS) if (open(ms)) left -= 1
        assert.equal(work.addBusinessHours(from, n / 4).toISOString(), new Date(ms).toISOString())
      })
      fc.assert(property, { numRuns: 150 })
    })

    it('finds the end of the day that going on to it by quarters of an hour finds', () => {
      const property = fc.property(cases, (given) => {
        const { from, isWorkday, minutes, work } = made(given)
        const [, closes] = minutes.at(-1) as [number, number]
        const isLast = (ms: number) => {
          const { date, minute } = wallClock(given.timeZone, ms)
          return minute === closes && isWorkday(closes < (minutes[0] as [number, number])[0] ? dayAfter(date, -1) : date)
        }
        let ms = from + QUARTER_MS
        while (!isLast(ms)) ms += QUARTER_MS
        assert.equal(work.endOfBusinessDay(from).toISOString(), new Date(ms).toISOString())
      })
      fc.assert(property, { numRuns: 150 })
    })
  })

  describe('refuses', () => {
    const refused: [options: unknown, message: RegExp][] = [
      [undefined, /must be an object, got undefined/],
      [{ timeZone: 'Asia/Taipeh' }, /"timeZone" "Asia\/Taipeh" is not known/],
      [{}, /"timeZone" must be the IANA name/],
      [{ timezone: 'UTC' }, /unknown option "timezone"/],
      [{ timeZone: 'UTC', workdays: [] }, /no working day/],
      [{ timeZone: 'UTC', workdays: [0] }, /has 0, which is no weekday/],
      [{ timeZone: 'UTC', workdays: 'Mon' }, /"workdays" must be a list/],
      [{ timeZone: 'UTC', hours: [] }, /"hours" must be such as/],
      [{ timeZone: 'UTC', hours: ['9:00', '18:00'] }, /write them as \["09:00", "18:00"\]/],
      [{ timeZone: 'UTC', hours: ['09:00', '09:00'] }, /and the whole day as/],
      [{ timeZone: 'UTC', hours: ['09:00', '24:01'] }, /"hours" has/],
      [
        {
          timeZone: 'UTC',
          hours: [
            ['09:00', '13:00'],
            ['12:00', '18:00'],
          ],
        },
        /overlap: 09:00 to 13:00 goes beyond 12:00/,
      ],
      [
        {
          timeZone: 'UTC',
          hours: [
            ['05:00', '12:00'],
            ['22:00', '06:00'],
          ],
        },
        /overlap: 22:00 to 06:00 goes beyond 05:00/,
      ],
      [{ timeZone: 'UTC', holidays: ['2026-02-30'] }, /"2026-02-30", which is no date/],
      [{ timeZone: 'UTC', holidays: [new Date(0)] }, /"holidays" has .* which is no date/],
      [{ timeZone: 'UTC', holidays: '2026-01-01' }, /"holidays" must be a list of dates/],
      [{ timeZone: 'UTC', extraWorkdays: ['1.1.2026'] }, /"extraWorkdays" has "1.1.2026"/],
    ]
    for (const [options, message] of refused) {
      it(`${JSON.stringify(options)}`, () => {
        assert.throws(() => calendar(options as CalendarOptions), { code: 'ERR_ORDER_TIMERS_INVALID_OPTION', message })
      })
    }

    it('what is no count of days or hours', () => {
      for (const n of [-1, 0.5, 10_001, Number.NaN, '3' as never]) {
        assert.throws(() => taipei().addBusinessDays(0, n), { code: 'ERR_ORDER_TIMERS_INVALID_DURATION' })
        assert.throws(() => taipei().endOfBusinessDay(0, n), { code: 'ERR_ORDER_TIMERS_INVALID_DURATION' })
      }
      for (const n of [-1, 10_001, Number.NaN, '3' as never])
        assert.throws(() => taipei().addBusinessHours(0, n), { code: 'ERR_ORDER_TIMERS_INVALID_DURATION' })
    })

    it('what is no instant', () => {
      for (const from of [new Date(Number.NaN), '2026-01-01' as never, undefined as never, 0.5, 9e15])
        assert.throws(() => taipei().addBusinessDays(from, 1), { code: 'ERR_ORDER_TIMERS_INVALID_DEADLINE' })
    })

    it('ten years without a working day, and a holiday that is neither', () => {
      const never = taipei({ holidays: () => true })
      for (const ask of [() => never.addBusinessDays(0, 1), () => never.addBusinessHours(0, 1), () => never.endOfBusinessDay(0)])
        assert.throws(ask, { code: 'ERR_ORDER_TIMERS_NO_WORKING_DAY', message: /in the ten years from 19(69-12-31|70-01-01)/ })
      assert.throws(() => taipei({ holidays: () => undefined as never }).addBusinessDays(0, 1), { code: 'ERR_ORDER_TIMERS_INVALID_OPTION' })
    })
  })
})
