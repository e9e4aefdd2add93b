// The orders of one rule by state, for the screen "Now": counts up to 10,000, from rows or from the due index, and what blocks those
// that are due. The figures have the form of those of `status`, so that both come to the same verdict. What cannot be read is reported.

import { keptFailures } from '../../admin/kept-failures.js'
import { OVERDUE_MS } from '../../admin/limits.js'
import { boundRule, problemOf } from '../../admin/problem.js'
import { failingReminders, figuresInRedis, lastErrorOf, locksOf, type RuleStatus, unknownRule } from '../../admin/rule-status.js'
import { SweepMarks } from '../../redis/sweep-marks.js'
import type { ListedState } from '../../rows/capped-orders-sql.js'
import type { RowRule } from '../../rows/row-rule.js'
import { RUN_OWNER } from '../../rows/runs-table.js'
import type { ShopRule } from '../../rules/rule.js'
import { leftRun } from '../../timers/bulk/unfinished.js'
import { heldKind } from '../../timers/hold.js'
import type { Runtime } from '../../timers/runtime.js'
import { type CappedCounts, isListed, type ListedRule, type OrderReads } from '../order-reads.js'
import { Remembered } from '../remembered.js'
import { type ShownHold, type ShownUnverified, shownHold, shownUnverified } from '../shown-hold.js'

export interface CountedKind {
  kind: string
  /** A state without orders is left out. More than 10,000 means "and more". Undefined if they could not be read. */
  counts: Partial<Record<ListedState | 'paused' | 'undated', number>> | undefined
  /** When the next order is due, and when the oldest that is overdue was, by Postgres's clock. */
  nextMs: number | null
  oldestMs: number | null
  brakedAtMs: number | null
  /** When they were counted, by the same clock. */
  atMs: number
  /** How long ago a worker counted the orders without a deadline. */
  undatedAgeMs: number | undefined
  /** The holds of the rule, a person's hold first. */
  holds: ShownHold[]
  /** For a rule with `verify`: the orders that wait for an answer; undefined if none does. */
  unverified: ShownUnverified | undefined
  problem: string | undefined
}

export interface KindLook {
  counted: CountedKind
  status: RuleStatus
}

const REDIS_MS = 1_000

/** No index finds them, so they are counted separately. */
const PAUSED = { freshMs: 60_000, maxAgeMs: 300_000 }

export class KindCounts {
  private readonly paused = new Remembered<number | undefined>(PAUSED)
  private readonly marks: SweepMarks | undefined

  constructor(
    private readonly runtime: Runtime,
    private readonly reads: OrderReads,
  ) {
    const { redis, keys } = runtime
    this.marks = redis && new SweepMarks(redis.connection, keys, redis.clock)
  }

  /** For a rule whose counts are unknown. */
  unknown(kind: string, problem?: string): KindLook {
    const nothing = {
      kind,
      counts: undefined,
      nextMs: null,
      oldestMs: null,
      brakedAtMs: null,
      undatedAgeMs: undefined,
      holds: [],
      unverified: undefined,
    }
    return { counted: { ...nothing, atMs: Date.now(), problem }, status: unknownRule(this.runtime, kind, problem) }
  }

  /** Never rejects. */
  async of(kind: string): Promise<KindLook> {
    const { rule, problem } = boundRule(this.runtime, kind)
    const look = this.unknown(kind, problem?.message)
    const { counted, status } = look
    if (!rule) return look
    status.dryRun = rule.row?.options.dryRun ?? false
    try {
      if (isListed(rule)) await this.onRows(rule, look)
      else await this.inRedis(rule, look)
    } catch (error) {
      counted.problem = (await this.reads.problem(rule, error)).message
      status.problem = counted.problem
      status.notLookedAt = !(await this.isConfiguration(rule, error))
    }
    return look
  }

  private async onRows(rule: ListedRule, look: KindLook): Promise<void> {
    const { counted, status } = look
    const { kind, row } = rule
    const [readAgoMs, undated] = await Promise.all([this.marks?.age(kind), this.marks?.undated(kind)])
    status.readAgoMs = readAgoMs
    let found: CappedCounts
    try {
      await this.putStops(rule, look)
      found = await this.reads.counts(rule, counted.holds.length > 0)
    } catch (error) {
      await this.addLocks(rule, status, [])
      if (status.tableLock) return
      throw error
    }
    const { states, dead, retrying, nowMs } = found
    const paused = this.paused.latest(kind, () => this.reads.paused(rule))
    const counts = { ...(dead && { dead }), ...(paused?.value && { paused: paused.value }), ...(undated && { undated: undated.count }) }
    for (const [state, { count }] of Object.entries(states)) Object.assign(counts, { [state]: count })
    const [nextMs, oldestMs] = [states.pending?.first ?? null, states.overdue?.first ?? null]
    Object.assign(counted, { counts, nextMs, oldestMs, atMs: nowMs, undatedAgeMs: undated?.ageMs })
    this.put(counted, status, dead)
    const { verification } = row
    if (verification)
      status.unverified = await this.reads.within(row, (within) => verification.unverified.summary(within)).catch(() => undefined)
    counted.unverified = shownUnverified(status.unverified)
    const { redis } = this.runtime
    if (redis) {
      status.lastError = await lastErrorOf(redis, kind, retrying).catch(() => undefined)
      status.reminders = await failingReminders(redis, this.runtime, rule).catch(() => [])
    }
    const isLate = oldestMs !== null && nowMs - oldestMs > OVERDUE_MS
    if (isLate || states.locked) await this.addLocks(rule, status, states.locked ? await this.lockedIds(rule) : [])
  }

  /** What stops the rule. */
  private async putStops({ kind, row }: { kind: string; row: RowRule }, { counted, status }: KindLook): Promise<void> {
    const { holds, brakedAt } = await this.reads.stops({ row })
    counted.brakedAtMs = brakedAt?.getTime() ?? null
    status.brakedSince = brakedAt
    counted.holds = holds.map(shownHold)
    const [hold] = holds
    if (hold) status.hold = heldKind(kind, hold)
    if (holds.some(({ owner }) => owner === RUN_OWNER))
      status.leftRun = await this.reads.inTurn(() => leftRun(row, this.runtime.keys.prefix, holds)).catch(() => undefined)
  }

  /** In the form of `status`, whose ages are relative to this process's clock. */
  private put({ counts = {}, oldestMs, nextMs, atMs }: CountedKind, status: RuleStatus, dead: number | undefined): void {
    const aheadMs = Date.now() - atMs
    const { pending = 0, overdue = 0, locked = 0, stale = 0 } = counts
    const retrying = dead === undefined ? undefined : (counts.retrying ?? 0)
    const { held = 0, unverified = 0, paused = 0, undated = 0 } = counts
    const states = { pending, overdue, retrying, locked, dead, stale, held, unverified, paused, undated }
    status.isCapped = true
    status.rows = { ...states, oldestOverdue: oldestMs === null ? null : new Date(oldestMs + aheadMs), withinHour: 0 }
    status.next = nextMs === null ? null : new Date(nextMs)
    status.dead = dead
  }

  private async addLocks(rule: ListedRule, status: RuleStatus, lockedIds: readonly string[]): Promise<void> {
    Object.assign(status, await this.reads.inTurn(() => locksOf(rule.row, this.runtime, rule.kind, lockedIds)).catch(() => ({})))
  }

  private async lockedIds(rule: ListedRule): Promise<string[]> {
    const page = await this.reads.page(rule, { state: 'locked', limit: 5 }).catch(() => ({ orders: [] }))
    return page.orders.map(({ id }) => id)
  }

  /** For a rule whose deadlines are only in Redis. */
  private async inRedis(rule: ShopRule, look: KindLook): Promise<void> {
    const { kind, row } = rule
    const { counted, status } = look
    const { redis } = this.runtime
    if (!redis) {
      counted.problem = 'its deadlines are only in Redis, and Redis is not used here'
      return
    }
    await redis.connection.connected(REDIS_MS)
    const [figures, kept] = await Promise.all([figuresInRedis(redis, kind, REDIS_MS), keptFailures(this.runtime, kind)])
    const { pending, overdue, oldestMs, nextMs, nowMs } = figures
    const dead = kept.failed?.dead.length ?? 0
    const counts = { ...(dead > 0 && { dead }), ...(overdue > 0 && { overdue }), ...(pending > 0 && { pending }) }
    Object.assign(counted, { counts, nextMs, oldestMs, atMs: nowMs })
    status.armed = pending + overdue
    status.inRedis = { pending, overdue, oldestOverdue: oldestMs === null ? null : new Date(oldestMs + Date.now() - nowMs) }
    status.next = nextMs === null ? null : new Date(nextMs)
    status.dead = dead
    status.lastError = await lastErrorOf(redis, kind, kept.failed?.retrying ?? [])
    if (row) await this.putStops({ kind, row }, look)
  }

  private async isConfiguration(rule: ShopRule, error: unknown): Promise<boolean> {
    return (await this.reads.inTurn(() => problemOf(rule, error)).catch(() => ({ isConfiguration: false }))).isConfiguration === true
  }
}
