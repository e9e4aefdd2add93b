// The environment variable ORDER_TIMERS, which switches the timers of a process on or off.

import { OrderTimersError, show } from '../errors.js'

const ON = ['', 'on', 'true', '1', 'yes']
const OFF = ['off', 'false', '0', 'no']

/**
 * @param value of ORDER_TIMERS; case and blanks do not matter
 * @throws OrderTimersError INVALID_OPTION if it is neither on nor off
 */
export function switchedOn(value: string | undefined): boolean {
  const word = (value ?? '').trim().toLowerCase()
  if (ON.includes(word)) return true
  if (OFF.includes(word)) return false
  throw new OrderTimersError(
    'INVALID_OPTION',
    `orderTimers: the environment variable ORDER_TIMERS must be on, true, 1, yes or empty, or off, false, 0 or no, got ${show(value)}`,
  )
}
