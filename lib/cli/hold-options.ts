// The options for the deadlines of a rule that was held.

import type { ReleaseOptions } from '../hold.js'
import type { CommandInput } from './command.js'
import { UsageError } from './usage-error.js'

export const END_OPTIONS = { shift: { type: 'boolean' }, 'no-shift': { type: 'boolean' }, grace: { type: 'string' } } as const

/** @throws UsageError if more than one is given */
export function endOf({ shift, 'no-shift': noShift, grace }: CommandInput['values']): Pick<ReleaseOptions, 'shift' | 'grace'> {
  if ([shift, noShift, grace].filter((one) => one !== undefined).length > 1)
    throw new UsageError('give one of --shift, --no-shift and --grace')
  if (grace !== undefined) return { grace: grace as never }
  return shift ? { shift: true } : noShift ? { shift: false } : {}
}
