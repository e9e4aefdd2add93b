import assert from 'node:assert/strict'
import { duration, MAX_DURATION_MS, parseDuration, parseInstant } from '../lib/duration.js'
import { refusal, refused } from './support/refused.js'

const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

describe('duration(text)', () => {
  it('gives back the text, for options whose type is a duration', () => {
    for (const text of ['1ms', '30s', '15m', '1.5h', '24h', '7d', '2w']) assert.equal(duration(text), text)
  })

  it('throws INVALID_DURATION for anything else, also in a process whose environment lacks it', async () => {
    const message =
      "duration(): the text must be a duration such as '24h' or a positive whole number of milliseconds, of ten years at most, got "
    const given: [unknown, string][] = [
      ...['15 min', '900', '', ' 15m', '-1s', '0s', '1e3s', '100y'].map((text): [string, string] => [text, JSON.stringify(text)]),
      [undefined, 'undefined'],
      [null, 'null'],
    ]
    for (const [text, shown] of given) {
      assert.deepEqual(await refused(() => duration(text as string)), refusal('INVALID_DURATION', 400, message + shown))
    }
  })
})

describe('a duration', () => {
  const accepted: [unknown, number][] = [
    [1, 1],
    [900_000, 900_000],
    ['1ms', 1],
    ['30s', 30_000],
    ['15m', 900_000],
    ['1.5h', 5_400_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['3650d', MAX_DURATION_MS],
  ]
  for (const [given, milliseconds] of accepted) {
    it(`${JSON.stringify(given)} is ${milliseconds} ms`, () => {
      assert.equal(parseDuration('orderTimers: here', given), milliseconds)
    })
  }

  const refusals: [unknown, string][] = [
    [0, '0'],
    [-5, '-5'],
    [1.5, '1.5'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    ['15 min', '"15 min"'],
    ['1 fortnight', '"1 fortnight"'],
    ['900', '"900"'],
    ['-15m', '"-15m"'],
    [' 15m', '" 15m"'],
    ['0s', '"0s"'],
    ['0.5ms', '"0.5ms"'],
    ['1e3s', '"1e3s"'],
    ['', '""'],
    [null, 'null'],
    [undefined, 'undefined'],
    [9.2e18, '9200000000000000000'],
    ['100000000000000000000w', '"100000000000000000000w"'],
    [100 * 365 * 86_400_000, '3153600000000'],
    [MAX_DURATION_MS + 1, '315360000001'],
    [5n, '5n'],
    [true, 'true'],
    [{ valueOf: () => 5 }, 'an object with the keys valueOf'],
    [['15m'], 'an array of 1'],
    [new Date(5), '1970-01-01T00:00:00.005Z'],
  ]
  for (const [given, shown] of refusals) {
    it(`${shown} is none`, async () => {
      const message = `orderTimers: here must be a duration such as '24h' or a positive whole number of milliseconds, of ten years at most, got ${shown}`
      assert.deepEqual(await refused(() => parseDuration('orderTimers: here', given)), refusal('INVALID_DURATION', 400, message))
    })
  }
})

describe('an instant', () => {
  it('is a Date or whole milliseconds, from 1970 to the year 9999, leap days and 2038 among them', () => {
    for (const text of ['1970-01-01T00:00:00.001Z', '2028-02-29T12:00:00.000Z', '2038-01-19T03:14:08.000Z', '9999-12-31T23:59:59.999Z']) {
      assert.equal(parseInstant('orderTimers: here', new Date(text)), Date.parse(text))
      assert.equal(parseInstant('orderTimers: here', Date.parse(text)), Date.parse(text))
    }
  })

  const refusals: [unknown, string][] = [
    [new Date('tomorrow'), 'Invalid Date'],
    [new Date(LAST + 1), '+010000-01-01T00:00:00.000Z'],
    [new Date(-1), '1969-12-31T23:59:59.999Z'],
    [new Date(null as never), '1970-01-01T00:00:00.000Z'],
    [0, '0'],
    [LAST + 1, '253402300800000'],
    [1.5, '1.5'],
    [Number.NaN, 'NaN'],
    ['2030-01-01', '"2030-01-01"'],
    [null, 'null'],
    [1n, '1n'],
  ]
  for (const [given, shown] of refusals) {
    it(`${shown} is none`, async () => {
      const message = `orderTimers: here must be a Date, or whole milliseconds since 1970, no later than the year 9999, got ${shown}`
      assert.deepEqual(await refused(() => parseInstant('orderTimers: here', given)), refusal('INVALID_DEADLINE', 400, message))
    })
  }
})
