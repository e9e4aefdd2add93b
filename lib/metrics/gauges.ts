// The present state as metrics: faults, sweeps, clocks and workers as this process knows them, and orders as last counted.

import { failingKinds } from '../admin/problem.js'
import type { PresenceFaultCode } from '../faults.js'
import type { TimersFaultCode } from '../redis/outage.js'
import { isAliveByBeat } from '../redis/process-records.js'
import type { Runtime } from '../timers/runtime.js'
import { LAYOUT, VERSION } from '../version.js'
import type { FaultCode } from '../worker/events.js'
import { runningWorkers } from '../worker/running.js'
import type { Counting } from './counting.js'
import { Metric, type Sample } from './metric.js'

/** All faults with their subjects; they are shown from the start, as 0. */
const FAULTS: Record<FaultCode | TimersFaultCode | PresenceFaultCode, 'kind' | 'process'> = {
  REDIS_UNAVAILABLE: 'process',
  REDIS_UNUSABLE: 'process',
  REDIS_REFUSES: 'process',
  REDIS_LOST_DATA: 'process',
  SUBSCRIBE_REFUSED: 'process',
  SCAN_REFUSED: 'process',
  EVENTS_OFF: 'process',
  EVICTION: 'process',
  TIMERS_DROPPED: 'process',
  NO_WORKER: 'process',
  OTHER_REDIS: 'process',
  POSTGRES_UNAVAILABLE: 'kind',
  SWEEP_FAILED: 'kind',
  SWEEP_BLOCKED: 'kind',
  INVALID_MODEL: 'kind',
  NOT_LOOKED_AT: 'kind',
  INTERNAL: 'kind',
  BRAKED: 'kind',
  RUN_UNFINISHED: 'kind',
  VERIFY_FAILED: 'kind',
  UNVERIFIED: 'kind',
  ROW_LOCKED: 'kind',
  KIND_UNSERVED: 'kind',
  RULES_DIFFER: 'kind',
  PREFIX_SHARED: 'kind',
}

/** Without an answer of Redis the known processes are forgotten after a while. */
const SEEN_MS = 60_000

export function gauges(runtime: Runtime, counting: Counting): Metric[] {
  const gauge = (name: string, help: string, read: () => Sample[]) => new Metric({ name, help, type: 'gauge', read })
  const ofOrders = (value: (orders: NonNullable<ReturnType<Counting['orders']['get']>>) => number) => () =>
    [...counting.orders].map(([kind, orders]) => ({ labels: { kind }, value: value(orders) }))
  return [
    gauge('fault', 'Whether this is wrong now, as this process sees it: 1 or 0.', () => faults(runtime)),
    gauge('sweep_last_read_timestamp_seconds', 'When any worker last read overdue orders, of the rule that was read longest ago.', () =>
      known(lastReadAt(runtime, counting), (at) => [{ labels: {}, value: at / 1_000 }]),
    ),
    gauge('clock_skew_seconds', "How far a server's clock is ahead of this process's.", () => [
      ...known(runtime.redis?.clock.known(), (now) => [{ labels: { clock: 'redis' }, value: (now - Date.now()) / 1_000 }]),
      ...known(counting.postgresSkewMs, (skewMs) => [{ labels: { clock: 'postgres' }, value: skewMs / 1_000 }]),
    ]),
    gauge('workers', 'Processes with a living worker, as this process sees them.', () =>
      known(livingWorkers(runtime), (value) => [{ labels: {}, value }]),
    ),
    gauge('info', '1, with the version of express-order-timers.', () => [{ labels: { version: VERSION, layout: LAYOUT }, value: 1 }]),
    gauge('orders', 'Orders by rule and state, counted up to 10,001 at most every 30 s.', () => [
      ...[...counting.orders].flatMap(([kind, { states }]) =>
        Object.entries(states).map(([state, value]) => ({ labels: { kind, state }, value })),
      ),
      ...[...counting.dead].map(([kind, value]) => ({ labels: { kind, state: 'dead' }, value })),
      ...[...runtime.meters.undated].map(([kind, value]) => ({ labels: { kind, state: 'undated' }, value })),
    ]),
    gauge('oldest_overdue_seconds', 'By how much the oldest order is overdue without a known reason; 0 if there is none.', () =>
      ofOrders(({ oldestOverdueMs }) => oldestOverdueMs / 1_000)(),
    ),
    gauge('oldest_unverified_seconds', 'How long the first order has waited for an answer of "verify"; 0 if none waits.', () =>
      ofOrders(({ oldestUnverifiedMs }) => oldestUnverifiedMs / 1_000)(),
    ),
    gauge('orders_age_seconds', "How long ago the rule's orders were counted; if they never were, for how long it has been tried.", () =>
      counting.agesMs.map(([kind, ageMs]) => ({ labels: { kind }, value: ageMs / 1_000 })),
    ),
  ]
}

function faults(runtime: Runtime): Sample[] {
  const present = [...runtime.health().faults, ...runningWorkers(runtime).flatMap((worker) => worker.health().faults)]
  const values = new Map<string, number>()
  const kinds = failingKinds(runtime)
  for (const [code, about] of Object.entries(FAULTS)) for (const kind of about === 'kind' ? kinds : ['']) values.set(`${code} ${kind}`, 0)
  for (const { code, kind = '' } of present) values.set(`${code} ${kind}`, 1)
  return [...values].map(([labels, value]) => {
    const [code = '', kind = ''] = labels.split(' ')
    return { labels: { code, kind }, value }
  })
}

function lastReadAt(runtime: Runtime, counting: Counting): number | undefined {
  const own = runningWorkers(runtime).flatMap(({ parts }) => parts.sweep.lastRead?.at.getTime() ?? [])
  const all = [...own, ...(counting.lastReadAt === undefined ? [] : [counting.lastReadAt])]
  return all.length > 0 ? Math.max(...all) : undefined
}

function livingWorkers({ beats, running, redis }: Runtime): number | undefined {
  const seen = beats?.seen
  if (seen && seen.at.passedMs() < SEEN_MS) {
    return seen.processes.filter((one) => one.role === 'worker' && isAliveByBeat(one)).length
  }
  return !redis && running.size > 0 ? 1 : undefined
}

function known<T>(value: T | undefined, samples: (value: T) => Sample[]): Sample[] {
  return value === undefined ? [] : samples(value)
}
