// The checks of readiness: which there are, and what a reading of each means. Only these numbers decide what degrades a process and what fails it.

import type { FaultOf } from '../faults.js'
import type { LatenessSummary } from '../lateness-buckets.js'
import type { OverdueOrders, PostgresReading } from './postgres.js'
import type { RedisReading } from './redis.js'

/** From the best to the worst. */
export const STATES = ['ok', 'degraded', 'failing'] as const

export type State = 'ok' | 'degraded' | 'failing'

/** What is checked; docs/health.md has the table. */
export type CheckName = 'overdue' | 'lateness' | 'sweep' | 'postgres' | 'redis' | 'clocks' | 'dead' | 'faults'

/** What one reading of a check says. */
export interface CheckReading {
  state: State
  /** The rule with the worst value. */
  kind?: string
  /** How much it is, in seconds, or how many. */
  value?: number
  /** Above which value it is degraded, and failing. */
  degradedAbove?: number
  failingAbove?: number
  /** Codes of what is wrong, as in docs/errors.md. */
  codes?: string[]
  /** For who may see details: messages, hosts. */
  details?: string[]
}

/** What a look has found: what servers said, and what this process knows by itself. */
export interface Findings {
  postgres: PostgresReading | undefined
  redis: RedisReading | undefined
  faults: readonly FaultOf<string>[]
  /** Whether expiry events are proved to arrive; undefined without a worker or without Redis. */
  eventsProved: boolean | undefined
  /** Of each rule, in the last minute. */
  lateness: ReadonlyMap<string, LatenessSummary>
  /** How long ago somebody last read each rule's overdue orders, of the one that has waited longest; undefined where nobody can say. */
  sweep: { kind: string; agoMs: number } | undefined
  /** From one sweep to the next; undefined where none is scheduled, or nobody knows. */
  intervalMs: number | undefined
  /** Redis's clock minus this process's. */
  redisSkewMs: number | undefined
  /** For how long Postgres has not answered. */
  postgresDownMs: number
  /** Whether this rule's backlog shrinks. */
  shrinks(overdue: OverdueOrders): boolean
}

const OVERDUE_S = 5
const OVERDUE_WITHOUT_SWEEP_S = 90
const LATE_S = 1
const FEWEST_LATE = 20
const SKEW_S = 1
const POSTGRES_DOWN_S = 30

/** Faults that a check of its own has. */
const OF_REDIS = /^(REDIS_|EVENTS_OFF$|SUBSCRIBE_REFUSED$|EVICTION$|TIMERS_DROPPED$)/
const OF_POSTGRES = 'POSTGRES_UNAVAILABLE'

export const CHECKS: Record<CheckName, (findings: Findings) => CheckReading> = {
  overdue({ postgres, intervalMs, shrinks, faults }) {
    const failingAbove = intervalMs === undefined ? OVERDUE_WITHOUT_SWEEP_S : (1.5 * intervalMs) / 1_000
    const unread = postgres?.trouble === undefined ? (postgres?.unread ?? []) : []
    const isWorkedOn = !faults.some(({ code }) => code === 'NO_WORKER')
    const worst = most(
      (postgres?.overdue ?? []).filter((overdue) => overdue.ageMs <= OVERDUE_S * 1_000 || !isWorkedOn || !shrinks(overdue)),
      ({ ageMs }) => ageMs,
    )
    const judged = measured(worst && { kind: worst.kind, value: worst.ageMs / 1_000 }, OVERDUE_S, failingAbove)
    if (unread.length === 0) return judged
    const details = unread.map(({ kind, why }) => `${kind}: ${why}`)
    return { ...judged, state: worse(judged.state, 'degraded'), codes: ['UNREADABLE'], details }
  },

  lateness({ lateness }) {
    const enough = [...lateness].filter(([, { count }]) => count >= FEWEST_LATE)
    const worst = most(enough, ([, { p99Ms }]) => p99Ms ?? 0)
    return measured(worst && { kind: worst[0], value: (worst[1].p99Ms ?? 0) / 1_000 }, LATE_S)
  },

  sweep({ sweep, intervalMs }) {
    if (!sweep || intervalMs === undefined) return { state: 'ok' }
    return measured({ kind: sweep.kind, value: sweep.agoMs / 1_000 }, (1.5 * intervalMs) / 1_000, (3 * intervalMs) / 1_000)
  },

  postgres({ postgres, postgresDownMs, faults }) {
    const own = faultsAmong(faults, (code) => code === OF_POSTGRES)
    if (postgres?.trouble === undefined) return own
    const state = postgresDownMs > POSTGRES_DOWN_S * 1_000 ? 'failing' : 'degraded'
    return { state, value: postgresDownMs / 1_000, failingAbove: POSTGRES_DOWN_S, codes: [OF_POSTGRES], details: [postgres.trouble] }
  },

  redis({ redis, faults, eventsProved }) {
    const told = faultsAmong(faults, (code) => OF_REDIS.test(code))
    const codes = new Set(told.codes)
    if (redis && !redis.answers && codes.size === 0) codes.add('REDIS_UNAVAILABLE')
    if (redis?.answers && eventsProved === false && codes.size === 0) codes.add('EVENTS_OFF')
    if (codes.size === 0) return { state: 'ok' }
    return { ...told, state: 'degraded', codes: [...codes] }
  },

  clocks({ postgres, redisSkewMs }) {
    const skews = [postgres?.skewMs, redisSkewMs].flatMap((skewMs) => (skewMs === undefined ? [] : [Math.abs(skewMs) / 1_000]))
    return measured(skews.length === 0 ? undefined : { value: Math.max(...skews) }, SKEW_S)
  },

  dead({ redis }) {
    const worst = most([...(redis?.dead ?? [])], ([, count]) => count)
    return measured(worst && { kind: worst[0], value: worst[1] }, 0)
  },

  faults({ faults }) {
    return faultsAmong(faults, (code) => !OF_REDIS.test(code) && code !== OF_POSTGRES)
  },
}

export function worse(one: State, other: State): State {
  return STATES.indexOf(one) > STATES.indexOf(other) ? one : other
}

function measured(found: { kind?: string; value: number } | undefined, degradedAbove: number, failingAbove?: number): CheckReading {
  const limits = { degradedAbove, ...(failingAbove !== undefined && { failingAbove }) }
  if (!found) return { state: 'ok', ...limits }
  const isFailing = failingAbove !== undefined && found.value > failingAbove
  return { state: isFailing ? 'failing' : found.value > degradedAbove ? 'degraded' : 'ok', ...found, ...limits }
}

function faultsAmong(faults: readonly FaultOf<string>[], isOurs: (code: string) => boolean): CheckReading {
  const found = faults.filter(({ code }) => isOurs(code))
  const [first] = found
  if (!first) return { state: 'ok' }
  return {
    state: 'degraded',
    ...(first.kind !== undefined && { kind: first.kind }),
    codes: [...new Set(found.map(({ code }) => code))],
    details: found.map(({ code, message }) => `${code}: ${message}`),
  }
}

function most<T>(all: readonly T[], value: (one: T) => number): T | undefined {
  return all.reduce<T | undefined>((worst, one) => (worst === undefined || value(one) > value(worst) ? one : worst), undefined)
}
