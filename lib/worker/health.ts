// A worker's report for a health check.

import type { Fault } from './faults.js'
import type { KindCounters } from './settling/counters.js'
import type { LatenessOfRule } from './settling/lateness.js'
import type { Reader } from './sweep/reads.js'

/** The state of a worker, for a health check. */
export interface Health {
  /** `ok`; `degraded`: there are `faults`, and orders are still settled, at the latest by the sweep; `stopped`. */
  status: 'ok' | 'degraded' | 'stopped'
  /** What is wrong at present. */
  faults: Fault[]
  /**
   * The present state; undefined with `redis: false`. `connected`: Redis answers and can serve timers. `subscribed`: to expiry events. `events`:
   * whether expiry events are proved to arrive, undefined while unknown. `externalScans`: how often the keyspace has been scanned for keys
   * that other services set. `externalScanMs`: how long the last scan took, milliseconds; undefined while this worker has completed none.
   */
  redis:
    | { connected: boolean; subscribed: boolean; events: boolean | undefined; externalScans: number; externalScanMs: number | undefined }
    | undefined
  /**
   * `lastEndedAt`: when a sweep of this worker last ended. `lastReadAt`: every rule's overdue orders have been read at this time or later,
   * by this worker or another one (`lastReadBy`). A sweep may end without having read, if another session holds its lock.
   * `next`: when the next sweep is scheduled, null if none is.
   */
  sweep: { lastEndedAt: Date | undefined; lastReadAt: Date | undefined; lastReadBy: Reader | undefined; next: Date | null }
  /** How many batches are being settled, or wait to be. */
  busy: number
  /** By rule and reminder, since the worker started. */
  kinds: Record<string, KindCounters>
  /**
   * By rule and reminder: how late the orders were that this worker settled in the last minute, hour and day. Only orders that came due since a worker's
   * last check are counted: no retries, no locked rows, no deadlines that had passed when they were written, and no backlog.
   */
  lateness: Record<string, LatenessOfRule>
  /**
   * Expired keys that were ignored. `external`: keys of no rule. `malformed`: keys of a rule without a valid id.
   * `dropped`: too many were waiting. Their rows are left to the sweep; those of a rule that lives only in Redis are lost, which is logged as an error
   * (`EVENTS_DROPPED`).
   */
  events: { external: number; malformed: number; dropped: number }
}
