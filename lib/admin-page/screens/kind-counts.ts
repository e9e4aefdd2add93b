// The orders of one rule by state, for the screen "Now": counts up to 10,000, from rows or from the due index, and what blocks those
// that are due. The figures have the form of those of `status`, so that both come to the same verdict. What cannot be read is reported.

import { keptFailures } from '../../admin/kept-failures.js'
import { OVERDUE_MS } from '../../admin/limits.js'
import { boundRule, problemOf } from '../../admin/problem.js'
import { lastErrorOf, locksOf, type RuleStatus, unknownRule } from '../../admin/rule-status.js'
import { SweepMarks } from '../../redis/sweep-marks.js'
import type { ListedState } from '../../rows/capped-orders-sql.js'
import type { Hold } from '../../rows/holds.js'
import { RUN_OWNER } from '../../rows/runs-table.js'
import type { ShopRule } from '../../rules/rule.js'
import { leftRun } from '../../timers/bulk/unfinished.js'
import { heldKind } from '../../timers/hold.js'
import type { Runtime } from '../../timers/runtime.js'
import { readIndex } from '../index-reads.js'
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
    try {
      if (isListed(rule)) await this.onRows(rule, look)
      else await this.inRedis(kind, look)
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
    status.dryRun = row.options.dryRun
    const [readAgoMs, undated] = await Promise.all([this.marks?.age(kind), this.marks?.undated(kind)])
    status.readAgoMs = readAgoMs
    let found: CappedCounts
    try {
      const { holds, brakedAt } = await this.reads.stops(rule)
      Object.assign(counted, { brakedAtMs: brakedAt?.getTime() ?? null })
      status.brakedSince = brakedAt
      await this.putHolds(rule, holds, look)
      found = await this.reads.counts(rule, holds.length > 0)
    } catch (error) {
      await this.addLocks(rule, status, [])
      if (status.tableLock) return
      throw error
    }
    const { states, dead, retrying, nowMs } = found
    const paused = this.paused.latest(kind, () => this.reads.paused(rule))
    const counts = { ...(dead > 0 && { dead }), ...(paused?.value && { paused: paused.value }), ...(undated && { undated: undated.count }) }
    for (const [state, { count }] of Object.entries(states)) Object.assign(counts, { [state]: count })
    const [nextMs, oldestMs] = [states.pending?.first ?? null, states.overdue?.first ?? null]
    Object.assign(counted, { counts, nextMs, oldestMs, atMs: nowMs, undatedAgeMs: undated?.ageMs })
    this.put(counted, status)
    const { verification } = row
    if (verification) status.unverified = await this.reads.inTurn(() => verification.unverified.summary()).catch(() => undefined)
    counted.unverified = shownUnverified(status.unverified)
    if (retrying.length > 0 && this.runtime.redis)
      status.lastError = await lastErrorOf(this.runtime.redis, kind, retrying).catch(() => undefined)
    const isLate = oldestMs !== null && nowMs - oldestMs > OVERDUE_MS
    if (isLate || states.locked) await this.addLocks(rule, status, states.locked ? await this.lockedIds(rule) : [])
  }

  private async putHolds({ kind, row }: ListedRule, holds: readonly Hold[], { counted, status }: KindLook): Promise<void> {
    counted.holds = holds.map(shownHold)
    const [hold] = holds
    if (hold) status.hold = heldKind(kind, hold)
    if (holds.some(({ owner }) => owner === RUN_OWNER))
      status.leftRun = await this.reads.inTurn(() => leftRun(row, this.runtime.keys.prefix, holds)).catch(() => undefined)
  }

  /** In the form of `status`, whose ages are relative to this process's clock. */
  private put({ counts = {}, oldestMs, nextMs, atMs }: CountedKind, status: RuleStatus): void {
    const aheadMs = Date.now() - atMs
    const { pending = 0, overdue = 0, retrying = 0, locked = 0, dead = 0, stale = 0 } = counts
    const { held = 0, unverified = 0, paused = 0, undated = 0 } = counts
    const states = { pending, overdue, retrying, locked, dead, stale, held, unverified, paused, undated }
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
  private async inRedis(kind: string, { counted, status }: KindLook): Promise<void> {
    if (!this.runtime.redis) {
      counted.problem = 'its deadlines are only in Redis, and Redis is not used here'
      return
    }
    const [due, pending, kept] = await Promise.all([
      readIndex(this.runtime, kind, 'due'),
      readIndex(this.runtime, kind, 'pending'),
      keptFailures(this.runtime, kind),
    ])
    const dead = kept.failed?.dead.length ?? 0
    const counts = {
      ...(dead > 0 && { dead }),
      ...(due.timers.length > 0 && { overdue: due.timers.length }),
      ...(pending.timers.length > 0 && { pending: pending.timers.length }),
    }
    const [[oldest], [next]] = [due.timers, pending.timers]
    Object.assign(counted, { counts, nextMs: next?.deadlineMs ?? null, oldestMs: oldest?.deadlineMs ?? null, atMs: pending.nowMs })
    status.armed = due.timers.length + pending.timers.length
    const oldestOverdue = oldest ? new Date(oldest.deadlineMs + Date.now() - pending.nowMs) : null
    status.inRedis = { pending: pending.timers.length, overdue: due.timers.length, oldestOverdue }
    status.next = next ? new Date(next.deadlineMs) : null
    status.dead = dead
  }

  private async isConfiguration(rule: ShopRule, error: unknown): Promise<boolean> {
    return (await this.reads.inTurn(() => problemOf(rule, error)).catch(() => ({ isConfiguration: false }))).isConfiguration === true
  }
}
