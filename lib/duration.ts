// Durations as shops write them ('15m', '24h', or milliseconds), checked before any I/O. The parsing itself is the `ms` package's.

import { types } from 'node:util'
import ms from 'ms'
import { OrderTimersError, show } from './errors.js'

/** A span of time: whole milliseconds as a number, or a number with a unit: ms, s, m, h, d or w (`'15m'`, `'1.5h'`, `'24h'`). */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}`

/** The longest duration that is accepted: ten years. A longer one probably has the wrong unit. */
export const MAX_DURATION_MS = 3_650 * 86_400_000

const SHAPE = /^\d+(?:\.\d+)?(?:ms|s|m|h|d|w)$/

/** The minimum and the maximum of a duration, in milliseconds. */
export interface DurationBounds {
  leastMs?: number
  mostMs?: number
}

/**
 * For durations that become a timer of Node or a timeout of Postgres. Both overflow at 2^31 milliseconds, about 24.8 days: Node's timer then
 * fires at once, and Postgres refuses the statement. A day leaves room for margins and multiples.
 */
export const WAITING_BOUNDS: DurationBounds = { mostMs: 86_400_000 }

/** For durations in which something has to be settled. */
export const A_SECOND_AT_LEAST: DurationBounds = { leastMs: 1_000 }

/**
 * @param where the option, as the error names it, such as `orderTimers: rule "order_confirm": "after"`
 * @param bounds default: from 1 ms to ten years
 * @returns whole milliseconds within the bounds
 * @throws OrderTimersError ERR_ORDER_TIMERS_INVALID_DURATION
 */
export function parseDuration(where: string, value: unknown, { leastMs = 1, mostMs = MAX_DURATION_MS }: DurationBounds = {}): number {
  const parsed = typeof value === 'string' && SHAPE.test(value) ? ms(value as ms.StringValue) : value
  if (typeof parsed === 'number' && Number.isSafeInteger(parsed) && parsed >= leastMs && parsed <= mostMs) return parsed
  const most = mostMs === MAX_DURATION_MS ? 'ten years' : inUnits(mostMs)
  const least = leastMs === 1 ? '' : `${inUnits(leastMs)} at least and `
  throw new OrderTimersError(
    'INVALID_DURATION',
    `${where} must be a duration such as '24h' or a positive whole number of milliseconds, of ${least}${most} at most, got ${show(value)}`,
  )
}

/**
 * Checks text, such as an environment variable, as a duration: `after: duration(process.env.PAY_AFTER ?? '15m')`.
 * @param text a number with its unit: ms, s, m, h, d or w
 * @returns the text itself, checked
 * @throws OrderTimersError ERR_ORDER_TIMERS_INVALID_DURATION
 */
export function duration(text: string): Duration {
  parseDuration('duration(): the text', text)
  return text as Duration
}

/** Milliseconds in the largest unit that divides them, such as `2h`. */
export function inUnits(milliseconds: number): string {
  const [size, unit] = UNITS.find(([size]) => milliseconds % size === 0) as [number, string]
  return `${milliseconds / size}${unit}`
}

const UNITS: [number, string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
  [1, 'ms'],
]

/**
 * @returns the instant in whole milliseconds since 1970; never 0, which a missing date becomes and which Redis does not accept as an expiry
 * @throws OrderTimersError ERR_ORDER_TIMERS_INVALID_DEADLINE unless it is a Date (or milliseconds) between 1970 and the year 9999
 */
export function parseInstant(where: string, value: unknown): number {
  const time = types.isDate(value) ? Date.prototype.getTime.call(value) : value
  if (typeof time === 'number' && Number.isSafeInteger(time) && time > 0 && time <= LAST_INSTANT) return time
  throw new OrderTimersError(
    'INVALID_DEADLINE',
    `${where} must be a Date, or whole milliseconds since 1970, no later than the year 9999, got ${show(value)}`,
  )
}

const LAST_INSTANT = Date.UTC(9999, 11, 31, 23, 59, 59, 999)
