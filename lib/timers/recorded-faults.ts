// The faults in a process's heartbeat.

import type { FaultOf } from '../faults.js'
import type { ProcessRecord } from '../redis/process-records.js'

/** The maximum number of faults, and the maximum length of each message. */
const MOST_FAULTS = 10
const LONGEST_MESSAGE = 300

export function recordedFaults(all: readonly FaultOf<string>[]): Pick<ProcessRecord, 'faults'> {
  if (all.length === 0) return {}
  return {
    faults: all.slice(0, MOST_FAULTS).map(({ code, kind, message, since }) => ({
      ...{ code, ...(kind !== undefined && { kind }) },
      ...{ message: message.slice(0, LONGEST_MESSAGE), since: since.getTime() },
    })),
  }
}
