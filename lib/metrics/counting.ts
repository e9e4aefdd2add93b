// Metrics that need the servers: orders by state, the oldest overdue one, Postgres's clock, and when a worker last read what is overdue. A timer
// queries them, every 30 s at most, and less often if counting takes long; a scrape shows the last values, with their age.

import { boundRule, failingKinds } from '../admin/problem.js'
import { stopOfRule } from '../admin/stop.js'
import type { FailedIds } from '../redis/failed-timers.js'
import { SweepMarks } from '../redis/sweep-marks.js'
import { CAPPED_LOOK_SETTINGS, cappedCountsSql, type ListedState } from '../rows/capped-orders-sql.js'
import { noteHeldTime } from '../rows/held-time.js'
import { CANNOT_SEE_LOCKS } from '../rows/order-counts-sql.js'
import { isSwept, type SweptRule } from '../rules/rule.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import type { Runtime } from '../timers/runtime.js'
import { within } from '../wait.js'

export type CountedState = ListedState

/** A rule's orders as they were last counted; each up to 10,001. */
export interface CountedOrders {
  /** Without `dead` if Redis never said which orders are dead letters. */
  states: Partial<Record<CountedState, number>>
  oldestOverdueMs: number
  /** How long the first order has waited for an answer of `verify`; 0 if none waits. */
  oldestUnverifiedMs: number
  /** When, by `performance.now()`. */
  at: number
}

const EVERY_MS = 30_000
const FIRST_MS = 1_000

/** The statements use at most this fraction of the time (1/n). */
const SHARE = 50

/** The longest pause, however long they took: older values would be wrong. */
const SELDOM_MS = 120_000

const LIMITS = { lockMs: 300, statementMs: 2_000, idleMs: 2_000 }
const REDIS_MS = 1_000
const NONE: Record<Exclude<CountedState, 'dead'>, number> = {
  pending: 0,
  overdue: 0,
  retrying: 0,
  locked: 0,
  stale: 0,
  held: 0,
  unverified: 0,
}
const NOW = 'SELECT (extract(epoch from clock_timestamp()) * 1000)::float8 AS now'

export class Counting {
  readonly orders = new Map<string, CountedOrders>()
  /** The dead letters of reminders and of rules whose deadlines are only in Redis: they have no rows of their own to be counted. */
  readonly dead = new Map<string, number>()
  /** Postgres's clock minus this process's, milliseconds; of several databases the largest difference; undefined if none answered. */
  postgresSkewMs: number | undefined
  /** The oldest of the rules' last readings, by this process's clock; undefined while unknown. */
  lastReadAt: number | undefined
  /** The kinds whose orders are counted, or would be if their rules could be bound. */
  private kinds: readonly string[] = []
  private readonly startedAt = performance.now()
  /** Of each database, as this count last read it. */
  private readonly skews = new Map<object, number>()
  /** As Redis last said: dead letters stay dead while it does not answer. */
  private readonly failed = new Map<string, FailedIds>()
  /** How long statements took in this count. Waiting for a pool connection does not count, since it is no load on Postgres. */
  private spentMs = 0
  private timer: NodeJS.Timeout | undefined
  private stopped = false

  constructor(private readonly runtime: Runtime) {}

  start(): void {
    this.countIn(FIRST_MS)
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
  }

  /** Milliseconds since each kind's orders were counted; since counting began where that has never succeeded. */
  get agesMs(): [kind: string, ageMs: number][] {
    return this.kinds.map((kind) => [kind, performance.now() - (this.orders.get(kind)?.at ?? this.startedAt)])
  }

  private countIn(milliseconds: number): void {
    if (this.stopped) return
    this.timer = setTimeout(async () => {
      await this.count()
      this.countIn(this.pauseMs)
    }, milliseconds).unref()
  }

  /** Milliseconds from the end of one count to the next. */
  get pauseMs(): number {
    return pauseAfter(this.spentMs)
  }

  /** Never rejects: what could not be counted keeps its age. */
  async count(): Promise<void> {
    if (this.runtime.health().status === 'off') return
    const bound = this.runtime.kinds.map((kind) => ({ kind, rule: boundRule(this.runtime, kind).rule }))
    this.kinds = bound.flatMap(({ kind, rule }) => (rule && !isSwept(rule) ? [] : [kind]))
    const swept = bound.flatMap(({ rule }) => (isSwept(rule) ? [rule] : []))
    this.skews.clear()
    this.spentMs = 0
    for (const rule of swept) await this.countRule(rule).catch(() => {})
    this.postgresSkewMs = [...this.skews.values()].sort((one, other) => Math.abs(other) - Math.abs(one))[0]
    for (const kind of failingKinds(this.runtime)) {
      if (swept.some((rule) => rule.kind === kind)) continue
      const failed = await this.failedOf(kind)
      if (failed) this.dead.set(kind, failed.dead.length)
    }
    await this.readMarks(swept.map(({ kind }) => kind)).catch(() => {})
  }

  private async countRule(rule: SweptRule): Promise<void> {
    const { kind, row } = rule
    const failed = await this.failedOf(kind)
    const bind = [failed?.dead ?? [], failed?.retrying ?? []]
    if (!rule.reminder) await noteHeldTime(row)
    const found = await this.ask(rule, true, bind).catch((error) => {
      if (!CANNOT_SEE_LOCKS.includes(sqlStateOf(error) ?? '')) throw error
      return this.ask(rule, false, bind)
    })
    const states: Record<Exclude<CountedState, 'dead'>, number> & { dead?: number } = { ...NONE }
    let [nowMs, oldestMs] = [0, 0]
    for (const { state, count, first } of found) {
      if (state === 'now') nowMs = first
      else states[state] = count
      if (state === 'overdue') oldestMs = first
    }
    if (failed) states.dead = failed.dead.length
    if (states.overdue > 0 && (await stopOfRule(row)) !== undefined)
      Object.assign(states, { held: states.held + states.overdue, overdue: 0 })
    this.orders.set(kind, {
      states,
      oldestOverdueMs: states.overdue > 0 ? nowMs - oldestMs : 0,
      oldestUnverifiedMs: states.unverified > 0 ? Math.max(0, nowMs - (await waitingSince(rule))) : 0,
      at: performance.now(),
    })
  }

  private ask({ row }: SweptRule, seesLocks: boolean, bind: unknown[]): Promise<Counted[]> {
    const { sequelize } = row.guard.table
    return inTransaction(sequelize, LIMITS, async (transaction) => {
      const begunAt = performance.now()
      try {
        await rows(sequelize, CAPPED_LOOK_SETTINGS, undefined, transaction)
        const askedAt = Date.now()
        const [clock] = await rows<{ now: number }>(sequelize, NOW, [], transaction)
        if (clock) this.skews.set(sequelize, clock.now - (askedAt + Date.now()) / 2)
        return await rows<Counted>(sequelize, cappedCountsSql(row, seesLocks), bind, transaction)
      } finally {
        this.spentMs += performance.now() - begunAt
      }
    })
  }

  /** @returns undefined if Redis never answered */
  private async failedOf(kind: string): Promise<FailedIds | undefined> {
    const { redis } = this.runtime
    if (!redis) return { dead: [], retrying: [] }
    if (!redis.connection.ready) await within(REDIS_MS, redis.connection.openQuietly())
    const found = redis.connection.serving ? await redis.failures.ids(kind, 2 * REDIS_MS).catch(() => undefined) : undefined
    if (found) this.failed.set(kind, found)
    return this.failed.get(kind)
  }

  private async readMarks(kinds: readonly string[]): Promise<void> {
    const { redis, keys } = this.runtime
    if (!redis?.connection.serving || kinds.length === 0) return
    const marks = new SweepMarks(redis.connection, keys, redis.clock)
    const ages = await within(REDIS_MS, Promise.all(kinds.map((kind) => marks.age(kind))))
    const known = (ages ?? []).filter((ageMs) => ageMs !== undefined)
    if (known.length > 0) this.lastReadAt = Date.now() - Math.max(...known)
  }
}

/** By Postgres's clock. */
async function waitingSince({ row: { verification } }: SweptRule): Promise<number> {
  return (await verification?.unverified.summary())?.since?.getTime() ?? Number.POSITIVE_INFINITY
}

/** @param spentMs how long the statements of a count took */
export function pauseAfter(spentMs: number): number {
  return Math.min(SELDOM_MS, Math.max(EVERY_MS, SHARE * spentMs))
}

interface Counted {
  state: CountedState | 'now'
  count: number
  first: number
}
