// What the screen "Now" judges by: the facts of `status`, from looks that are short and shared by all who look. So both say the same sentence.

import { boundRule, postgresTrouble } from '../../admin/problem.js'
import { latenessOfAll, livingProcesses, type Processes } from '../../admin/processes.js'
import { clockDifference, type RedisStatus, redisStatus } from '../../admin/server-status.js'
import { BACKLOG, type Backlog, type Facts } from '../../admin/status-facts.js'
import { CAP } from '../../rows/capped-orders-sql.js'
import type { Runtime } from '../../timers/runtime.js'
import type { LatenessByPath } from '../../worker/settling/lateness.js'
import type { OrderReads } from '../order-reads.js'
import { type Aged, Remembered } from '../remembered.js'
import type { Turn } from '../turn.js'
import { KindCounts, type KindLook } from './kind-counts.js'

/** What workers report of Redis's settings is among their faults. */
const REDIS_LOOK = { waitMs: 1_000, asksConfig: false }

/** Against which count a backlog is compared. */
const SPAN_MS = 15_000

interface Counted {
  at: number
  overdue: number
  oldestMs: number
}

export interface NowFacts {
  facts: Facts
  kinds: Aged<KindLook>[]
}

export class NowReads {
  private readonly kinds = new Remembered<KindLook>({ freshMs: 2_000, waitMs: 150, maxAgeMs: 30_000 })
  private readonly processes = new Remembered<Processes>({ freshMs: 2_000, waitMs: 150, maxAgeMs: 15_000 })
  private readonly lateness = new Remembered<Map<string, LatenessByPath> | undefined>({ freshMs: 5_000, waitMs: 150, maxAgeMs: 60_000 })
  private readonly redis = new Remembered<RedisStatus>({ freshMs: 4_000, waitMs: 150, maxAgeMs: 15_000 })
  private readonly postgres = new Remembered<string | undefined>({ freshMs: 4_000, waitMs: 150, maxAgeMs: 15_000 })
  private readonly clock = new Remembered<number | undefined>({ freshMs: 30_000, waitMs: 0, maxAgeMs: 120_000 })
  private readonly counts: KindCounts
  private earlier: Counted[] = []

  constructor(
    private readonly runtime: Runtime,
    reads: OrderReads,
    private readonly turn: Turn,
  ) {
    this.counts = new KindCounts(runtime, reads)
  }

  async read(): Promise<NowFacts> {
    const { runtime } = this
    const bound = runtime.kinds.flatMap((kind) => boundRule(runtime, kind).rule ?? [])
    const [redis, postgres, processes, lateness, clock] = await Promise.all([
      this.redis.get('', () => redisStatus(runtime, REDIS_LOOK)),
      this.postgres.get('', () => this.turn.take(() => postgresTrouble(bound))).catch(couldNotLook),
      this.living(),
      this.lateness.get('', () => latenessOfAll(runtime)).catch(() => undefined),
      this.clock.get('', () => this.turn.take(() => clockDifference(runtime, bound))).catch(() => undefined),
    ])
    const kinds = await this.count()
    const backlog = this.backlogOf(kinds)
    const rules = kinds.map(({ value: { status } }) => {
      const isSaid = status.notLookedAt && postgres.value !== undefined
      return { ...status, lateness: lateness?.value?.get(status.kind), ...(isSaid && { problem: undefined, notLookedAt: false }) }
    })
    const facts: Facts = {
      enabled: runtime.enabled,
      postgres: { answering: postgres.value === undefined, problem: postgres.value },
      redis: redis.value,
      clock: { postgresAheadMs: clock?.value },
      processes,
      rules,
      backlog,
    }
    return { facts, kinds }
  }

  async living(): Promise<Processes> {
    const beatsAreWritten = async () => (await this.redis.get('', () => redisStatus(this.runtime, REDIS_LOOK))).value.refuses === undefined
    const look = async () => {
      const written = await beatsAreWritten()
      return this.turn.take(() => livingProcesses(this.runtime, { beatsAreWritten: written }))
    }
    return (await this.processes.get('', look)).value
  }

  /** After an act. */
  forget(): void {
    this.kinds.forget()
  }

  private count(): Promise<Aged<KindLook>[]> {
    return Promise.all(this.runtime.kinds.map((kind) => this.kinds.get(kind, () => this.counts.of(kind))))
  }

  /** Undefined also where it has been counted once only: the next news say whether it shrinks. */
  private backlogOf(kinds: readonly Aged<KindLook>[]): Backlog | undefined {
    const late = kinds.flatMap(({ value: { status } }) => (status.brakedSince || !status.rows ? [] : [status.rows]))
    const overdue = late.reduce((sum, rows) => sum + rows.overdue, 0)
    const at = performance.now() - Math.max(0, ...kinds.map(({ ageMs }) => ageMs))
    if (overdue < BACKLOG) {
      this.earlier = []
      return undefined
    }
    const oldestMs = Math.min(...late.flatMap(({ oldestOverdue }) => oldestOverdue?.getTime() ?? []))
    const recent = this.earlier.filter((one) => at - one.at <= SPAN_MS)
    const [first] = recent
    if (!first || at - (recent.at(-1)?.at ?? 0) >= 1_000) this.earlier = [...recent, { at, overdue, oldestMs }]
    if (!first || at - first.at < 1_000) return undefined
    const seconds = (at - first.at) / 1_000
    if (overdue > CAP) return { overdue, perSecond: 0, doneAt: null, oldestMoves: oldestMs > first.oldestMs + 1_000 }
    const perSecond = Math.round((first.overdue - overdue) / seconds)
    return { overdue, perSecond, doneAt: perSecond > 0 ? new Date(Date.now() + (overdue / perSecond) * 1_000) : null }
  }
}

function couldNotLook(error: unknown): Aged<string> {
  return { value: (error as Error).message, ageMs: 0 }
}
