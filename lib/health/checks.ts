// The checks of readiness, and the meaning of their readings. Only these limits decide what is degraded and what is failing.

import { LATE_COUNT, LATE_P99_MS, OVERDUE_MS, SKEW_MS, sweepLimits } from '../admin/limits.js'
import type { FaultOf } from '../faults.js'
import type { LatenessSummary } from '../lateness-buckets.js'
import type { OverdueOrders } from './database-look.js'
import type { PostgresReading } from './postgres.js'
import type { RedisReading } from './redis.js'

/** From the best to the worst. */
export const STATES = ['ok', 'degraded', 'failing'] as const

export type State = 'ok' | 'degraded' | 'failing'

/** The checks; docs/health.md has the table. */
export type CheckName = 'overdue' | 'lateness' | 'sweep' | 'postgres' | 'redis' | 'clocks' | 'dead' | 'faults'

/** One reading of a check. */
export interface CheckReading {
  state: State
  /** The rule with the worst value. */
  kind?: string
  /** The value, in seconds or as a count. */
  value?: number
  /** How many seconds ago the value was read, if it was not read now. */
  age?: number
  /** The limits above which it is degraded, and failing. */
  degradedAbove?: number
  failingAbove?: number
  /** What is wrong, in the codes of `status`; NOT_LOOKED_AT if nothing is known. */
  codes?: string[]
  /** Details for authorized viewers: messages, hosts. */
  details?: string[]
}

/** The facts of one reading: the servers' answers, and what this process knows itself. */
export interface Findings {
  postgres: PostgresReading | undefined
  redis: RedisReading | undefined
  faults: readonly FaultOf<string>[]
  /** Whether expiry events are proved to arrive; undefined without a worker or without Redis. */
  eventsProved: boolean | undefined
  /** For each rule, in the last minute; undefined if unknown. */
  lateness: ReadonlyMap<string, LatenessSummary> | undefined
  /** How long ago any worker read overdue orders, for the rule whose last reading is oldest; undefined if no rule is swept, or it is unknown. */
  sweep: { kind: string; agoMs: number } | undefined
  /** Whether the missing facts about the sweep would have to come from Redis. */
  sweepUnknown: boolean
  /** The interval between sweeps; undefined if none is scheduled, or it is unknown. */
  intervalMs: number | undefined
  /** Redis's clock minus this process's. */
  redisSkewMs: number | undefined
  /** How long Postgres has not answered. */
  postgresDownMs: number
  /** Whether this rule's backlog shrinks. */
  shrinks(overdue: OverdueOrders): boolean
}

const POSTGRES_DOWN_S = 30

/** An older value is shown with its age. */
const NOW_MS = 1_500

const UNKNOWN = 'NOT_LOOKED_AT'

/** Faults that another check covers. */
const OF_REDIS = /^(REDIS_|EVENTS_OFF$|SUBSCRIBE_REFUSED$|SCAN_REFUSED$|EVICTION$|TIMERS_DROPPED$)/
const OF_POSTGRES = 'POSTGRES_UNAVAILABLE'

export const CHECKS: Record<CheckName, (findings: Findings) => CheckReading> = {
  overdue({ postgres, redis, intervalMs, shrinks, faults }) {
    const limits = { degradedAbove: OVERDUE_MS / 1_000, failingAbove: sweepLimits(intervalMs).stuckMs / 1_000 }
    const isWorkedOn = !faults.some(({ code }) => code === 'NO_WORKER')
    const all = [...(postgres?.overdue ?? []), ...(redis?.overdue ?? []).map((found) => ({ ...found, agoMs: 0 }))]
    const worst = most(
      all.filter((overdue) => overdue.ageMs <= OVERDUE_MS || !isWorkedOn || !shrinks(overdue)),
      ({ ageMs }) => ageMs,
    )
    const judged = measured('OVERDUE', worst && { kind: worst.kind, value: worst.ageMs / 1_000, agoMs: worst.agoMs }, limits)
    if (postgres?.trouble !== undefined) return alsoUnknown(judged)
    const { unread = [], notLookedAt = [] } = postgres ?? {}
    if (unread.length + notLookedAt.length === 0) return redis && !redis.overdue ? alsoUnknown(judged) : judged
    const codes = [...(unread.length > 0 ? ['UNREADABLE'] : []), ...(notLookedAt.length > 0 ? [UNKNOWN] : [])]
    return {
      ...judged,
      state: worse(judged.state, 'degraded'),
      codes: [...(judged.codes ?? []), ...codes],
      details: [
        ...unread.map(({ kind, why }) => `${kind}: ${why}`),
        ...notLookedAt.map((kind) => `${kind}: not checked; the queries for other rules took too long`),
      ],
    }
  },

  lateness({ lateness }) {
    const limits = { degradedAbove: LATE_P99_MS / 1_000 }
    if (!lateness) return alsoUnknown({ state: 'ok', ...limits })
    const enough = [...lateness].filter(([, { count }]) => count >= LATE_COUNT)
    const worst = most(enough, ([, { p99Ms }]) => p99Ms ?? 0)
    return measured('LATE', worst && { kind: worst[0], value: (worst[1].p99Ms ?? 0) / 1_000 }, limits)
  },

  sweep({ sweep, sweepUnknown, intervalMs }) {
    const { lateReadMs, goneReadMs } = sweepLimits(intervalMs)
    if (lateReadMs === undefined || goneReadMs === undefined) return { state: 'ok' }
    if (!sweep) return sweepUnknown ? alsoUnknown({ state: 'ok' }) : { state: 'ok' }
    const limits = { degradedAbove: lateReadMs / 1_000, failingAbove: goneReadMs / 1_000 }
    return measured('SWEEP_LATE', { kind: sweep.kind, value: sweep.agoMs / 1_000 }, limits)
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

  clocks({ postgres, redis, redisSkewMs }) {
    const skews = [postgres?.skewMs, redisSkewMs].flatMap((skewMs) => (skewMs === undefined ? [] : [Math.abs(skewMs) / 1_000]))
    const judged = measured('CLOCK_SKEW', skews.length === 0 ? undefined : { value: Math.max(...skews) }, {
      degradedAbove: SKEW_MS / 1_000,
    })
    return skews.length === 0 && (postgres || redis) ? alsoUnknown(judged) : judged
  },

  dead({ redis }) {
    const limits = { degradedAbove: 0 }
    if (redis && !redis.dead) return alsoUnknown({ state: 'ok', ...limits })
    const worst = most([...(redis?.dead?.counts ?? [])], ([, count]) => count)
    return measured('DEAD_LETTERS', worst && { kind: worst[0], value: worst[1], agoMs: redis?.dead?.agoMs ?? 0 }, limits)
  },

  faults({ faults }) {
    return faultsAmong(faults, (code) => !OF_REDIS.test(code) && code !== OF_POSTGRES)
  },
}

export function worse(one: State, other: State): State {
  return STATES.indexOf(one) > STATES.indexOf(other) ? one : other
}

interface Measured {
  kind?: string
  value: number
  agoMs?: number
}

type Limits = Required<Pick<CheckReading, 'degradedAbove'>> & Pick<CheckReading, 'failingAbove'>

/** @param code the code if the value is above a limit */
function measured(code: string, found: Measured | undefined, limits: Limits): CheckReading {
  const { degradedAbove, failingAbove = Number.POSITIVE_INFINITY } = limits
  if (!found) return { state: 'ok', ...limits }
  const { agoMs = 0, ...shown } = found
  const state = found.value > failingAbove ? 'failing' : found.value > degradedAbove ? 'degraded' : 'ok'
  return { state, ...shown, ...(agoMs > NOW_MS && { age: agoMs / 1_000 }), ...limits, ...(state !== 'ok' && { codes: [code] }) }
}

/** Another check shows the reason, so this one does not become worse. */
function alsoUnknown(reading: CheckReading): CheckReading {
  return { ...reading, codes: [...(reading.codes ?? []), UNKNOWN] }
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
