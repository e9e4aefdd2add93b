// How the orders of one rule stand, for the screen "Now": counts that end at 10,000, of rows or of the due index. What cannot be read is said.

import { keptFailures } from '../../admin/kept-failures.js'
import { boundRule } from '../../admin/problem.js'
import { SweepMarks } from '../../redis/sweep-marks.js'
import type { ListedState } from '../../rows/capped-orders-sql.js'
import type { Runtime } from '../../timers/runtime.js'
import { readIndex } from '../index-reads.js'
import { isListed, type ListedRule, type OrderReads } from '../order-reads.js'
import { Remembered } from '../remembered.js'

export interface CountedKind {
  kind: string
  /** A state without orders is left out. More than 10,000 means "and more". Undefined where they could not be read. */
  counts: Partial<Record<ListedState | 'paused' | 'undated', number>> | undefined
  /** When the next order is due, and when the oldest that is overdue was, by Postgres's clock. */
  nextMs: number | null
  oldestMs: number | null
  brakedAtMs: number | null
  /** When they were counted, by the same clock. */
  atMs: number
  /** How long ago a worker counted those without a deadline. */
  undatedAgeMs: number | undefined
  /** How long ago a worker last read what is overdue; undefined where that is not known. */
  readMs: number | undefined
  problem: string | undefined
}

export class KindCounts {
  private readonly paused = new Remembered<number | undefined>({ freshMs: 60_000, waitMs: 0 })
  private readonly marks: SweepMarks | undefined

  constructor(
    private readonly runtime: Runtime,
    private readonly reads: OrderReads,
  ) {
    const { redis, keys } = runtime
    this.marks = redis && new SweepMarks(redis.connection, keys, redis.clock)
  }

  /** Never rejects. */
  async of(kind: string): Promise<CountedKind> {
    const nothing = { kind, counts: undefined, nextMs: null, oldestMs: null, brakedAtMs: null, atMs: Date.now() }
    const unknown: CountedKind = { ...nothing, undatedAgeMs: undefined, readMs: undefined, problem: undefined }
    const { rule, problem } = boundRule(this.runtime, kind)
    if (!rule) return { ...unknown, problem: problem.message }
    try {
      if (!isListed(rule)) return { ...unknown, ...(await this.inRedis(kind)) }
      return { ...unknown, readMs: await this.marks?.age(kind), ...(await this.onRows(rule)) }
    } catch (error) {
      return { ...unknown, problem: (await this.reads.problem(rule, error)).message }
    }
  }

  private async onRows(rule: ListedRule): Promise<Partial<CountedKind>> {
    const { kind } = rule
    const { states, dead, nowMs } = await this.reads.counts(rule)
    const counts: CountedKind['counts'] = dead > 0 ? { dead } : {}
    for (const [state, { count }] of Object.entries(states)) counts[state as ListedState] = count
    const paused = await this.paused.get(kind, () => this.reads.paused(rule)).catch(() => undefined)
    if (paused) counts.paused = paused
    const undated = await this.marks?.undated(kind)
    if (undated) counts.undated = undated.count
    const brakedAt = await this.reads.brakedAt(rule)
    return {
      counts,
      nextMs: states.pending?.first ?? null,
      oldestMs: states.overdue?.first ?? null,
      brakedAtMs: brakedAt?.getTime() ?? null,
      atMs: nowMs,
      undatedAgeMs: undated?.ageMs,
    }
  }

  /** Of a rule whose deadlines are in Redis alone. */
  private async inRedis(kind: string): Promise<Partial<CountedKind>> {
    if (!this.runtime.redis) return { problem: 'its deadlines are in Redis alone, and Redis is not used here' }
    const [due, pending] = await Promise.all([readIndex(this.runtime, kind, 'due'), readIndex(this.runtime, kind, 'pending')])
    const dead = (await keptFailures(this.runtime, kind)).failed?.dead.length ?? 0
    const counts: CountedKind['counts'] = dead > 0 ? { dead } : {}
    if (due.timers.length > 0) counts.overdue = due.timers.length
    if (pending.timers.length > 0) counts.pending = pending.timers.length
    const [[oldest], [next]] = [due.timers, pending.timers]
    return { counts, nextMs: next?.deadlineMs ?? null, oldestMs: oldest?.deadlineMs ?? null, atMs: pending.nowMs }
  }
}
