// When sweeps run: no pause is longer than the expression's own and an hour, whatever zones, daylight saving and clocks do. Time is the
// tests' own here: years of it, and changes of the clocks, cannot be had otherwise.

import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { CronTimes } from '../../../lib/worker/sweep/cron-times.js'
import { parseFallback } from '../../../lib/worker/sweep/fallback.js'
import { SweepSchedule } from '../../../lib/worker/sweep/schedule.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const ZONES = ['America/New_York', 'Europe/Vienna', 'Australia/Lord_Howe', 'Antarctica/Troll', 'Africa/Cairo', 'Asia/Taipei', 'UTC']

/** Each with the longest pause that it has where no clock is ever changed, in hours. */
const EXPRESSIONS: [cron: string, pauseHours: number][] = [
  ['0 2 * * *', 24],
  ['30 2 * * *', 24],
  ['30 1 * * *', 24],
  ['0 0 * * *', 24],
  ['0 3 * * 1', 7 * 24],
  ['15 2 * * 0', 7 * 24],
  ['0 9-17 * * 1-5', 64],
  ['*/20 * * * *', 1 / 3],
  ['0 */15 * * * *', 1 / 4],
  ['30 0 2 1,15 * *', 17 * 24],
  ['0 2 L * *', 31 * 24],
]

/** When clocks are changed. That of Troll is by two hours, that of Lord Howe by half an hour. */
const CHANGES: [zone: string, at: string][] = [
  ['America/New_York', '2027-03-14T07:00:00Z'],
  ['America/New_York', '2026-11-01T06:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  ['Australia/Lord_Howe', '2027-04-03T15:00:00Z'],
  ['Antarctica/Troll', '2027-03-28T01:00:00Z'],
  ['Africa/Cairo', '2027-04-29T22:00:00Z'],
]

/** The time that a test sets: `Date`, timers and the monotonic clock, which the clock's being set does not move. */
class TestTime {
  private readonly now = performance.now
  private readonly date: DateConstructor

  constructor(iso: string) {
    mock.timers.enable({ apis: ['Date', 'setTimeout', 'setInterval'], now: Date.parse(iso) })
    const unset = Date
    this.date = unset
    performance.now = () => unset.now()
  }

  /** Somebody sets the machine's clock. */
  set(byMs: number): void {
    const unset = this.date
    class SetDate extends unset {
      constructor(...args: unknown[]) {
        if (args.length === 0) super(unset.now() + byMs)
        else super(...(args as [number]))
      }
      static override now(): number {
        return unset.now() + byMs
      }
    }
    globalThis.Date = SetDate as DateConstructor
  }

  async pass(milliseconds: number, stepMs = 1_000): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += stepMs) {
      mock.timers.tick(stepMs)
      for (let turns = 0; turns < 5; turns += 1) await Promise.resolve()
    }
  }

  end(): void {
    globalThis.Date = this.date
    performance.now = this.now
    mock.timers.reset()
  }
}

describe('the sweep’s schedule', () => {
  let time: TestTime | undefined
  let schedule: SweepSchedule | undefined

  const end = async () => {
    await schedule?.stop()
    time?.end()
    schedule = undefined
    time = undefined
  }
  afterEach(end)

  const start = (iso: string, cron: string, timezone: string) => {
    time = new TestTime(iso)
    const runs: number[] = []
    const sweep = { running: false, blocked: false, run: async () => void runs.push(performance.now()) }
    schedule = new SweepSchedule(parseFallback({ cron, timezone }))
    schedule.start(sweep)
    return { runs, sweep, time, schedule }
  }

  it('has a sweep on the day whose hour the clocks skip', async () => {
    const { runs, time, schedule } = start('2027-03-13T01:59:00-05:00', '0 2 * * *', 'America/New_York')
    await time.pass(2 * HOUR_MS)
    const next = schedule.next as Date
    assert.ok(Math.abs(next.getTime() - Date.parse('2027-03-14T03:00:00-04:00')) < 30_000, next.toISOString())
    const horizon = Date.now() + schedule.horizonMs()
    assert.ok(horizon > Date.parse('2027-03-15T02:00:00-04:00'), 'it does not reach to the sweep after next')
    await time.pass(46 * HOUR_MS)
    const gaps = runs.slice(1).map((run, i) => (run - (runs[i] as number)) / HOUR_MS)
    assert.equal(gaps.length, 2)
    assert.ok(Math.max(...gaps) < 24.1, `${gaps}`)
  }).timeout(120_000)

  it('says how long it is from one run to the next: through a night without runs, too', async () => {
    const { time, schedule } = start('2027-05-03T16:58:30Z', '*/20 9-16 * * *', 'UTC')
    assert.equal(schedule.intervalMs, 16 * HOUR_MS + 90_000) // until nine tomorrow
    await time.pass(16 * HOUR_MS + 2 * 60_000)
    assert.equal(schedule.intervalMs, HOUR_MS / 3)
  }).timeout(60_000)

  it('has no interval where no run is scheduled', () => {
    assert.equal(new SweepSchedule(false).intervalMs, undefined)
  })

  it('goes on each minute through the hour that comes twice', async () => {
    const { runs, time } = start('2026-11-01T01:50:00-04:00', '* * * * *', 'America/New_York')
    await time.pass(HOUR_MS + 20 * 60_000)
    const gaps = runs.slice(1).map((run, i) => (run - (runs[i] as number)) / 1_000)
    assert.ok(Math.max(...gaps) <= 80, `${gaps}`)
  }).timeout(60_000)

  for (const [zone, at] of CHANGES) {
    it(`has no pause longer than its expression’s and an hour when the clocks of ${zone} are changed at ${at}`, async () => {
      for (const [cron, pauseHours] of [
        ['0 2 * * *', 24],
        ['30 2 * * *', 24],
        ['15 1 * * *', 24],
        ['0 0 * * *', 24],
        ['0 */4 * * *', 4],
        ['30 0,30 * * * *', 0.5],
      ] as const) {
        const days = pauseHours < 12 ? 0.5 : 1.3
        const { runs, time } = start(new Date(Date.parse(at) - days * DAY_MS).toISOString(), cron, zone)
        const startedAt = performance.now()
        await time.pass(2 * days * DAY_MS, 5_000)
        const times = [startedAt, ...runs, performance.now()]
        const longest = Math.max(...times.slice(1).map((run, i) => (run - (times[i] as number)) / HOUR_MS))
        assert.ok(runs.length >= 2 && longest <= pauseHours + 1, `${cron}: ${longest} h`)
        await end()
      }
    }).timeout(120_000)
  }

  for (const [how, byMs] of [
    ['back by hours', -5 * HOUR_MS],
    ['forward by hours', 5 * HOUR_MS],
    ['back by a year', -365 * DAY_MS],
    ['forward by fifty years', 50 * 365 * DAY_MS],
  ] as const) {
    it(`goes on each minute when the clock is set ${how}, and does not block the event loop`, async () => {
      const { runs, time } = start('2026-06-01T01:50:00Z', '* * * * *', 'UTC')
      await time.pass(5 * 60_000)
      const usedBefore = process.cpuUsage()
      time.set(byMs)
      await time.pass(10 * 60_000)
      const { user, system } = process.cpuUsage(usedBefore)
      const gaps = runs.slice(1).map((run, i) => (run - (runs[i] as number)) / 1_000)
      assert.ok(gaps.length >= 13 && Math.max(...gaps) <= 61, `${gaps}`)
      assert.ok(user + system < 5_000_000, `${(user + system) / 1_000} ms of CPU`)
    })
  }

  it('goes on each second when the clock is set to and fro', async () => {
    const { runs, time } = start('2026-06-01T01:50:00Z', '* * * * * *', 'UTC')
    for (const byMs of [HOUR_MS, -HOUR_MS, 0, 365 * DAY_MS, -HOUR_MS]) {
      time.set(byMs)
      await time.pass(10_000, 100)
    }
    const gaps = runs.slice(1).map((run, i) => (run - (runs[i] as number)) / 1_000)
    assert.ok(runs.length >= 45 && Math.max(...gaps) <= 5, `${gaps}`)
  })

  it('skips runs that come due while one is under way', async () => {
    const { runs, sweep, time } = start('2026-06-01T01:50:30Z', '* * * * *', 'UTC')
    let end: (() => void) | undefined
    sweep.run = async () => {
      runs.push(performance.now())
      sweep.running = true
      await new Promise<void>((resolve) => {
        end = resolve
      })
      sweep.running = false
    }
    await time.pass(5 * 60_000)
    assert.equal(runs.length, 1)
    end?.()
    await time.pass(60_000)
    assert.equal(runs.length, 2)
  })

  it('does not wait for the next run while a lock keeps sweeps from reading', async () => {
    const { runs, sweep, time } = start('2026-06-01T01:50:01Z', '* * * * *', 'UTC')
    sweep.blocked = true
    await time.pass(30_000)
    assert.ok(runs.length >= 5, `${runs.length}`)
  })

  it('keeps a long pause by the time that has passed, though the clock is set back', async () => {
    const { runs, time } = start('2026-06-02T02:59:30Z', '0 3 * * *', 'UTC')
    await time.pass(60_000)
    time.set(-12 * HOUR_MS)
    await time.pass(25 * HOUR_MS, 5_000)
    const gaps = runs.slice(1).map((run, i) => (run - (runs[i] as number)) / HOUR_MS)
    assert.ok(gaps.length >= 1 && Math.max(...gaps) <= 25, `${gaps}`)
  }).timeout(60_000)

  for (const [cron, pauseHours] of EXPRESSIONS) {
    it(`has no pause longer than ${cron} has, across the clock changes of several zones`, () => {
      for (const zone of ZONES) {
        const times = new CronTimes(cron, zone)
        const end = Date.parse('2028-06-01T00:00:00Z')
        const stepLimit = pauseHours < 12 ? Date.parse('2026-12-01T00:00:00Z') : end
        for (let at = Date.parse('2026-10-20T00:00:00Z'); at < stepLimit; ) {
          const pause = times.pauseAfter(new Date(at))
          assert.ok(pause > 0 && pause <= pauseHours * HOUR_MS, `${zone} ${new Date(at).toISOString()}: ${pause / HOUR_MS} h`)
          at += pause
        }
        times.close()
      }
    }).timeout(60_000)
  }

  for (const [cron, days] of [
    ['0 0 29 2 *', 366 * 4],
    ['0 0 31 * *', 62],
    ['0 3 * * 5L', 35],
    ['0 3 * * 1#2', 35],
  ] as const) {
    it(`knows the pause of ${cron}`, () => {
      const times = new CronTimes(cron, 'Asia/Taipei')
      const pause = times.pauseAfter(new Date('2026-03-01T00:00:00Z')) / DAY_MS
      assert.ok(pause > 0 && pause <= days, `${pause}`)
      times.close()
    })
  }
})
