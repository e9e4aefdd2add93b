// What a worker adds to the heartbeats of its process. One process may have several workers, and sends one heartbeat for all.

import type { FaultOf } from '../faults.js'
import type { ProcessRecord } from '../redis/process-records.js'
import type { FaultSink } from './suspicions.js'

/** What a worker adds to its process's heartbeats. */
export interface BeatingWorker {
  faults: FaultSink & { list(): readonly FaultOf<string>[] }
  schedule: { readonly intervalMs: number | undefined }
  /** Milliseconds between two heartbeats, if they are not as usual. */
  beatMs?: number | undefined
  intake?: { readonly externalScanMs: number | undefined } | undefined
  latenessCounts: {
    /** The counts since the last call, by field. */
    takeCounts(): ReadonlyMap<string, number>
    /** Takes back counts that Redis did not accept. */
    putBack(counts: ReadonlyMap<string, number>): void
  }
}

/** The heartbeat interval if all workers of a process use a longer one than usual; undefined if one does not, or there is none. */
export function seldomMs(workers: Iterable<BeatingWorker>): number | undefined {
  const all = [...workers].map(({ beatMs }) => beatMs)
  return all.length === 0 || all.includes(undefined) ? undefined : Math.min(...(all as number[]))
}

/** The workers' part of a process's record; empty if there is none. */
export function recordOf(workers: ReadonlySet<BeatingWorker>): Pick<ProcessRecord, 'sweepMs' | 'beatMs' | 'scanMs'> {
  if (workers.size === 0) return {}
  const intervals = [...workers].flatMap(({ schedule }) => schedule.intervalMs ?? [])
  const beatMs = seldomMs(workers)
  const scans = [...workers].flatMap(({ intake }) => intake?.externalScanMs ?? [])
  return {
    sweepMs: intervals.length > 0 ? Math.max(...intervals) : null,
    ...(beatMs !== undefined && { beatMs }),
    ...(scans.length > 0 && { scanMs: Math.max(...scans) }),
  }
}

/** The counts of all workers of the process. */
export function sumOf(all: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const sum = new Map<string, number>()
  for (const counts of all) for (const [field, count] of counts) sum.set(field, (sum.get(field) ?? 0) + count)
  return sum
}
