// Carries out a run, portion by portion: each moves its orders and the run's cursor in one transaction, and Redis follows after the commit. If it
// stops or is killed, the run can be resumed.

import { setTimeout as delay } from 'node:timers/promises'
import type { RunOptions } from '../../bulk.js'
import { errorText } from '../../error-text.js'
import { OrderTimersError } from '../../errors.js'
import type { ActionsTable } from '../../rows/actions-table.js'
import { type Mover, type Portion, type PortionPage, RunSql } from '../../rows/run-sql.js'
import type { Run, RunPlace, RunsTable } from '../../rows/runs-table.js'
import { inTransaction } from '../../sequelize/database.js'
import { isDatabaseTrouble } from '../../sequelize/fault-owner.js'
import type { StatementLimits } from '../../sequelize/statement-limits.js'
import type { Runtime } from '../runtime.js'
import { endRun } from './end.js'
import type { BulkRule } from './request.js'

/** How long a portion should take in Postgres: a request may wait that long for a row. Round trips do not count; smaller portions would only add some. */
const PORTION_MS = 30
const FIRST_PORTION = 200
const LEAST_PORTION = 100
const MOST_IN_PORTION = 5_000

const LIMITS: StatementLimits = { lockMs: 300, statementMs: 20_000, idleMs: 5_000 }

/** After each portion the run rests for this part of the time that it took, so that Postgres serves the shop's requests. */
const REST = 0.75
const MOST_REST_MS = 50

/** How many orders one call to Redis updates. */
const TOLD = 500

/** The sweep arms what comes due later. */
const HORIZON_MS = 5 * 60_000

/** If few rows match, a portion reads up to this many times as many as it may move. */
const MOST_LOOKED_AT = 20

/** With this many locked rows, the run waits for them before it reads more. */
const MOST_SKIPPED = 2_000

/** How long to wait while Postgres does not answer, and for locked rows; how often to report that the run is carried out. */
export interface Patience {
  troubleMs: number
  lockedMs: number
  beatMs: number
}

const PATIENCE: Patience = { troubleMs: 60_000, lockedMs: 60_000, beatMs: 5_000 }

interface Step {
  portion: Portion
  skipped: string[]
  ended: boolean
}

export class Runner {
  private readonly sql: RunSql
  private size = FIRST_PORTION
  private lookAt = 1
  private readonly mover: Mover
  private moved: number
  private told: Promise<void> = Promise.resolve()

  constructor(
    private readonly runtime: Runtime,
    private readonly rule: BulkRule,
    private readonly run: Run,
    private readonly tables: { runs: RunsTable; actions: ActionsTable },
    private readonly patience = PATIENCE,
  ) {
    this.sql = new RunSql(rule.row.guard, rule.row.deadline, run, run.startedAt)
    this.mover = { run: run.id, process: runtime.identity.id, history: rule.row.history }
    this.moved = run.moved
  }

  /**
   * @returns how many orders were moved, by all processes that carried it out
   * @throws OrderTimersError RUN_UNFINISHED if rows stay locked, or Postgres does not answer; what `signal` was aborted with
   */
  async carryOut(options: RunOptions): Promise<number> {
    const endBeats = this.beat()
    try {
      return await this.moveAll(options)
    } finally {
      await endBeats()
    }
  }

  /** Reports at once and then regularly that a process carries the run out, even while it waits. */
  private beat(): () => Promise<void> {
    const { runs } = this.tables
    let beating: Promise<void> | undefined
    const beat = () => {
      beating ??= runs.beat(this.run.id, this.runtime.identity.id).catch(() => {}) // if Postgres does not answer, the portions fail too
      void beating.then(() => {
        beating = undefined
      })
    }
    beat()
    const timer = setInterval(beat, this.patience.beatMs)
    return async () => {
      clearInterval(timer)
      await beating
    }
  }

  private async moveAll(options: RunOptions): Promise<number> {
    await this.awaitSettling()
    for (let step: Step | undefined; ; ) {
      options.signal?.throwIfAborted()
      const limit = this.size
      const lookAt = limit * this.lookAt
      step = await this.step((place) => place.lastId !== null && { after: place.cursor, upTo: place.lastId, limit, lookAt }, options)
      if (!step || step.ended) break
      const isFull = step.portion.ids.length + step.portion.locked.length >= limit
      this.lookAt = isFull ? Math.max(1, Math.floor(this.lookAt / 2)) : Math.min(MOST_LOOKED_AT, this.lookAt * 2)
      if (step.skipped.length >= MOST_SKIPPED) await this.retrySkipped(options)
      await delay(Math.min(MOST_REST_MS, step.portion.tookMs * REST))
    }
    await this.retrySkipped(options)
    await this.told
    const ended = await this.persist(() => endRun(this.runtime, this.rule, this.run, 'done', this.tables))
    return ended?.moved ?? this.moved
  }

  /** Settlements that began before the hold may still use the old deadlines. */
  private async awaitSettling(): Promise<void> {
    const { holds, options } = this.rule.row
    const waitMs = Math.min(this.patience.lockedMs, options.timeoutMs + 5_000)
    const settling = await this.persist(() => holds.awaitSettling(waitMs))
    if (settling.length > 0) throw this.unfinished(`orders are still being settled by Postgres's pids ${settling.join(', ')}`)
  }

  private async retrySkipped(options: RunOptions): Promise<void> {
    const startedAt = performance.now()
    for (let waitMs = 50; ; waitMs = Math.min(1_000, 2 * waitMs)) {
      options.signal?.throwIfAborted()
      let left: readonly string[] = []
      const step = await this.step((place) => {
        const ids = place.skipped.slice(0, MOST_IN_PORTION)
        left = place.skipped.slice(ids.length)
        return ids.length > 0 && { ids }
      }, options)
      if (!step || (step.skipped.length === 0 && left.length === 0)) return
      if (performance.now() - startedAt > this.patience.lockedMs) throw this.unfinished(lockedText(step.skipped))
      await delay(waitMs, undefined, options.signal && { signal: options.signal })
    }
  }

  /** One portion. @returns undefined if another process has ended the run */
  private async step(pageOf: (place: RunPlace) => PortionPage | false, options: RunOptions): Promise<Step | undefined> {
    const { runs } = this.tables
    const { id } = this.run
    const step = await this.persist(() =>
      inTransaction(runs.sequelize, LIMITS, async (transaction): Promise<Step | undefined> => {
        const place = await runs.lock(id, transaction)
        if (!place) return undefined
        const page = pageOf(place)
        if (!page) return { portion: NOTHING, skipped: place.skipped, ended: true }
        const portion = await this.sql.move(page, this.mover, transaction)
        const others = 'ids' in page ? place.skipped.filter((one) => !page.ids.includes(one)) : place.skipped
        const skipped = [...others, ...portion.locked]
        const cursor = 'ids' in page ? place.cursor : (portion.last ?? place.cursor)
        await runs.moved(id, { cursor, skipped }, portion.ids.length, this.runtime.identity.id, transaction)
        return { portion, skipped, ended: portion.last === null }
      }),
    )
    if (!step) return undefined
    if (step.portion.ids.length > 0) this.adapt(step.portion.tookMs)
    this.moved += step.portion.ids.length
    await this.told
    this.told = this.tell(step.portion)
    const { kind, planned } = this.run
    options.onProgress?.({ kind, run: id, moved: this.moved, planned, skipped: step.skipped.length })
    return step
  }

  private adapt(tookMs: number): void {
    const fitting = (this.size * PORTION_MS) / Math.max(1, tookMs)
    this.size = Math.round(Math.min(MOST_IN_PORTION, 2 * this.size, Math.max(LEAST_PORTION, this.size / 2, fitting)))
  }

  /** What Redis does not accept is left to the sweep, and a timer that is too early there is harmless. */
  private async tell({ ids, deadlines }: Portion): Promise<void> {
    const { redis } = this.runtime
    if (!redis?.connection.usable) return
    const kinds = [{ kind: this.rule.kind, beforeMs: 0 }, ...this.rule.reminders]
    try {
      for (let first = 0; first < ids.length; first += TOLD) {
        const some = ids.slice(first, first + TOLD)
        const due = deadlines.slice(first, first + TOLD)
        for (const { kind, beforeMs } of kinds) {
          await redis.index.move(
            kind,
            some,
            due.map((deadline) => (deadline === null ? null : deadline - beforeMs)),
            HORIZON_MS,
          )
        }
      }
    } catch (error) {
      this.runtime.log('debug', `${this.rule.kind}: not armed now, the rows have the deadlines`, {
        kind: this.rule.kind,
        error: errorText(error),
      })
    }
  }

  /** Repeats with smaller portions after a deadlock, a lock or a lost connection. If the answer to a commit was lost, the cursor shows whether it succeeded. */
  private async persist<T>(work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    for (let waitMs = 20; ; waitMs = Math.min(2_000, 2 * waitMs)) {
      try {
        return await work()
      } catch (error) {
        if (error instanceof OrderTimersError) throw error
        if (!isDatabaseTrouble(error)) throw this.unfinished(errorText(error), error)
        if (performance.now() - startedAt > this.patience.troubleMs) throw this.unfinished(errorText(error), error)
        this.size = Math.max(LEAST_PORTION, Math.round(this.size / 2))
        await delay(waitMs * (0.5 + Math.random()))
      }
    }
  }

  private unfinished(why: string, cause?: unknown): OrderTimersError {
    const { kind, id, planned } = this.run
    const moved = `${this.moved} of ${planned} orders were moved`
    const remedy = `resumeRun(${JSON.stringify(kind)}) or \`order-timers runs ${kind} --resume\` goes on; abandonRun, or --abandon, ends it where it is`
    const message = `orderTimers: ${kind}: run ${id} stopped (${why}); ${moved}, and the kind stays held; ${remedy}`
    return new OrderTimersError('RUN_UNFINISHED', message, cause === undefined ? {} : { cause })
  }
}

const NOTHING: Portion = { ids: [], deadlines: [], locked: [], last: null, tookMs: 0 }

function lockedText(ids: readonly string[]): string {
  const some = ids.slice(0, 10).join(', ')
  return `other transactions keep the rows of ${ids.length} orders locked: ${some}${ids.length > 10 ? ' …' : ''}`
}
