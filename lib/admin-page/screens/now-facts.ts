// The facts behind the screen "Now". They are those of `status`, from short queries that all pages share, so both say the same sentence. A caller
// that does not wait gets what is known, and the information that something is still being read.

import { boundRule, postgresTrouble } from '../../admin/problem.js'
import { type InTurn, latenessOfAll, livingProcesses, type Processes } from '../../admin/processes.js'
import { clockDifference, type RedisStatus, redisStatus } from '../../admin/server-status.js'
import { BACKLOG, type Backlog, type Facts, isSettled } from '../../admin/status-facts.js'
import { errorText } from '../../error-text.js'
import { CAP } from '../../rows/cap.js'
import type { Runtime } from '../../timers/runtime.js'
import type { LatenessByPath } from '../../worker/settling/lateness.js'
import type { OrderReads } from '../order-reads.js'
import { type Aged, Remembered } from '../remembered.js'
import type { Turn } from '../turn.js'
import { KindCounts, type KindLook } from './kind-counts.js'

/** Redis's settings are in the faults that workers report. */
const REDIS_LOOK = { waitMs: 1_000, asksConfig: false }

/** The earlier count that a backlog is compared with. */
const SPAN_MS = 15_000

interface Counted {
  at: number
  overdue: number
  oldestMs: number
}

export interface NowFacts {
  facts: Facts
  kinds: LookedKind[]
  /** Whether something is not known yet. */
  looking: boolean
}

export interface LookedKind extends Aged<KindLook> {
  looking: boolean
}

/** Until it is known. */
const REDIS_UNKNOWN: RedisStatus = {
  ...{ used: true, answering: true },
  ...{ refuses: undefined, notifications: undefined, publishesExpiry: undefined, problem: undefined },
}
export const PROCESSES_UNKNOWN: Processes = { processes: [], findings: [], redis: { problem: 'not read yet' }, postgres: 'not read' }

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

  /** @param waitMs for how long to wait for what is not known; undefined: until it is */
  async read(waitMs?: number): Promise<NowFacts> {
    const { runtime } = this
    const bound = runtime.kinds.flatMap((kind) => boundRule(runtime, kind).rule ?? [])
    const ask = <T>(of: Remembered<T>, name: string, look: () => Promise<T>): Promise<Aged<T> | undefined> =>
      waitMs === undefined ? of.get(name, look) : of.soon(name, look, waitMs)
    const inTurn: InTurn = (work) => this.turn.take(work)
    const [redis, postgres, processes, lateness, clock, kinds] = await Promise.all([
      ask(this.redis, '', () => redisStatus(runtime, REDIS_LOOK)),
      ask(this.postgres, '', () => inTurn(() => postgresTrouble(bound)).catch(errorText)),
      ask(this.processes, '', () => this.lookForLiving()),
      ask(this.lateness, '', () => latenessOfAll(runtime).catch(() => undefined)),
      ask(this.clock, '', () => clockDifference(runtime, bound, inTurn)),
      Promise.all(runtime.kinds.map(async (kind) => this.orUnknown(kind, await ask(this.kinds, kind, () => this.counts.of(kind))))),
    ])
    const backlog = this.backlogOf(kinds)
    const rules = kinds.map(({ value: { status } }) => {
      const isSaid = status.notLookedAt && postgres?.value !== undefined
      return { ...status, lateness: lateness?.value?.get(status.kind), ...(isSaid && { problem: undefined, notLookedAt: false }) }
    })
    const facts: Facts = {
      enabled: runtime.enabled,
      postgres: { answering: postgres?.value === undefined, problem: postgres?.value },
      redis: redis?.value ?? REDIS_UNKNOWN,
      clock: { postgresAheadMs: clock?.value },
      processes: processes?.value ?? PROCESSES_UNKNOWN,
      rules,
      backlog,
    }
    const isUnknown = [redis, postgres, processes, lateness, clock].includes(undefined)
    return { facts, kinds, looking: isUnknown || kinds.some(({ looking }) => looking) }
  }

  /** @returns undefined where nothing is known by then */
  async living(waitMs: number): Promise<Processes | undefined> {
    return (await this.processes.soon('', () => this.lookForLiving(), waitMs))?.value
  }

  private async lookForLiving(): Promise<Processes> {
    const { value } = await this.redis.get('', () => redisStatus(this.runtime, REDIS_LOOK))
    return livingProcesses(this.runtime, { beatsAreWritten: value.refuses === undefined, inTurn: (ask) => this.turn.take(ask) })
  }

  /** After an act. */
  forget(): void {
    this.kinds.forget()
  }

  private orUnknown(kind: string, looked: Aged<KindLook> | undefined): LookedKind {
    return { ...(looked ?? { value: this.counts.unknown(kind), ageMs: 0 }), looking: looked === undefined }
  }

  /** Also undefined if it has been counted only once: the next update shows whether it shrinks. */
  private backlogOf(kinds: readonly LookedKind[]): Backlog | undefined {
    if (kinds.some(({ looking }) => looking)) return undefined
    const late = kinds.flatMap(({ value: { status } }) => (isSettled(status) && status.rows ? [status.rows] : []))
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
