// What a worker says about itself for a health check. It is put together from what its parts know; nobody is asked.

import type { Assembly } from './assembly.js'
import type { Fault } from './faults.js'
import type { KindCounters } from './settling/counters.js'
import type { LatenessOfRule } from './settling/lateness.js'
import type { Reader } from './sweep/reads.js'

/** The state of a worker, for a health check. */
export interface Health {
  /** `ok`; `degraded`: something of `faults` is wrong, and orders are still settled, at the latest by the sweep; `stopped`. */
  status: 'ok' | 'degraded' | 'stopped'
  /** What is wrong at present. */
  faults: Fault[]
  /**
   * How things are now; undefined with `redis: false`. `connected`: Redis answers and can serve timers. `subscribed`: to expiry events. `events`:
   * whether expiry events are proved to arrive, undefined while neither is proved. `externalScans`: how often the keyspace has been scanned for keys
   * that other services set.
   */
  redis: { connected: boolean; subscribed: boolean; events: boolean | undefined; externalScans: number } | undefined
  /**
   * `lastEndedAt`: when a sweep of this worker last ended. `lastReadAt`: the latest instant since which every rule's overdue orders have been read,
   * by this worker or by another one that was reading them (`lastReadBy`). A sweep may end without having read, if another session holds its lock.
   * `next`: when the next sweep is scheduled, null if none is.
   */
  sweep: { lastEndedAt: Date | undefined; lastReadAt: Date | undefined; lastReadBy: Reader | undefined; next: Date | null }
  /** How many batches are being settled, or wait to be. */
  busy: number
  /** By rule and reminder, since the worker started. */
  kinds: Record<string, KindCounters>
  /**
   * By rule and reminder: how late orders were that this worker settled in the last minute, hour and day. Only orders that came due since a worker
   * last looked are counted, so neither retries, nor rows that were locked, nor deadlines that were written when they had passed, nor a backlog.
   */
  lateness: Record<string, LatenessOfRule>
  /**
   * Expired keys that were not followed. `external`: keys of no rule. `malformed`: keys of a rule without a valid id.
   * `dropped`: too many waited already; their rows are left to the sweep.
   */
  events: { external: number; malformed: number; dropped: number }
}

export function healthOf({ dispatcher, faults, intake, latenessCounts, reporter, schedule, sweep }: Assembly, isStopped: boolean): Health {
  const present = faults.list()
  const { lastEndedAt, lastRead } = sweep
  return {
    status: isStopped ? 'stopped' : present.length > 0 ? 'degraded' : 'ok',
    faults: present,
    redis: intake && {
      connected: intake.connected,
      subscribed: intake.subscribed,
      events: intake.events,
      externalScans: intake.externalScans,
    },
    sweep: { lastEndedAt, lastReadAt: lastRead?.at, lastReadBy: lastRead?.by, next: schedule.next },
    busy: dispatcher.busy,
    kinds: Object.fromEntries(reporter.counters),
    lateness: latenessCounts.ofRules(),
    events: intake ? { ...intake.listener.counters } : { external: 0, malformed: 0, dropped: 0 },
  }
}
