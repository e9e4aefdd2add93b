// What a worker adds to the beats of its process. There may be several workers in one process, which beats once for all.

import type { FaultOf } from '../faults.js'
import type { ProcessRecord } from '../redis/process-records.js'
import type { FaultSink } from './suspicions.js'

/** What a worker adds to its process's beats. */
export interface BeatingWorker {
  faults: FaultSink & { list(): readonly FaultOf<string>[] }
  schedule: { readonly intervalMs: number | undefined }
  /** Milliseconds between two beats, where they are not as usual. */
  beatMs?: number | undefined
  latenessCounts: {
    /** What has been counted since it was last asked, by field. */
    takeCounts(): ReadonlyMap<string, number>
    /** Counts that Redis did not take. */
    putBack(counts: ReadonlyMap<string, number>): void
  }
}

/** How often a process beats whose workers all beat less often than usual; undefined where one beats as usual, or there is none. */
export function seldomMs(workers: Iterable<BeatingWorker>): number | undefined {
  const all = [...workers].map(({ beatMs }) => beatMs)
  return all.length === 0 || all.includes(undefined) ? undefined : Math.min(...(all as number[]))
}

/** What the record of a process says of its workers; nothing where there is none. */
export function recordOf(workers: ReadonlySet<BeatingWorker>): Pick<ProcessRecord, 'sweepMs' | 'beatMs'> {
  if (workers.size === 0) return {}
  const intervals = [...workers].flatMap(({ schedule }) => schedule.intervalMs ?? [])
  const beatMs = seldomMs(workers)
  return { sweepMs: intervals.length > 0 ? Math.max(...intervals) : null, ...(beatMs !== undefined && { beatMs }) }
}

/** Counts of all workers of the process. */
export function sumOf(all: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const sum = new Map<string, number>()
  for (const counts of all) for (const [field, count] of counts) sum.set(field, (sum.get(field) ?? 0) + count)
  return sum
}
