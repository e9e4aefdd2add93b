// The sweep: settles every order that Postgres says is overdue, whatever Redis knew, and arms those that come due before the sweep
// after next, whoever wrote their rows. One pass by keyset, oldest first, so that a row that cannot be settled starves nobody.

import type { Transaction } from 'sequelize'
import { OrderTimersError } from '../../errors.js'
import type { Log } from '../../logger.js'
import type { DueIndex } from '../../redis/due-index.js'
import { isRedisTrouble } from '../../redis/trouble.js'
import type { Maintenance, MaintenanceCounts } from '../../rows/maintenance.js'
import { type Keyset, MOST_COUNTED, type PendingRows, type OverduePage as ReadPage, type Stale } from '../../rows/pending-rows.js'
import type { SettledRows, SweptRows } from '../../rows/row-rule.js'
import { type BoundRule, isSwept, type SweptRule } from '../../rules/rule.js'
import { inTransaction } from '../../sequelize/database.js'
import { faultOwnerOf, isLocked } from '../../sequelize/fault-owner.js'
import { errorText, type WorkerEmitter } from '../events.js'
import type { Faults } from '../faults.js'
import type { IndexClaims, MemoryClaims, Work } from '../settling/claims.js'
import type { Dispatcher } from '../settling/dispatcher.js'
import { LeftOrders, type Transact } from './left-orders.js'
import type { Locked, SweepReads } from './reads.js'

/** How many batches' rows are read at once: where many are due at one instant, each reading sorts all of them. */
const BATCHES_READ = 50
const BATCH = 1_000

/** Orders without a deadline are counted so seldom, and for no more than this share of the time, since no index need serve the count. */
const UNDATED_EVERY_MS = 10 * 60_000
const REST_FACTOR = 200

const LIMITS = { lockMs: 300, statementMs: 60_000, idleMs: 10_000 }

export interface SweepDependencies {
  rules: ReadonlyMap<string, BoundRule>
  dispatcher: Dispatcher
  memory: MemoryClaims
  /** The due index and its claims; none with `redis: false`. */
  redis: { index: DueIndex; claims: IndexClaims; answering(): boolean } | undefined
  reads: SweepReads
  prefix: string
  /** From now to the sweep after next. */
  horizonMs: () => number
  events: WorkerEmitter
  faults: Faults
  log: Log
}

interface Totals {
  overdue: number
  armed: number
  horizonMs: number
}

/** The last page says as well what is stale: no further transaction is needed for that. */
interface OverduePage extends ReadPage {
  stale?: Stale
}

export class Sweep {
  lastEndedAt: Date | undefined
  private current: Promise<void> | undefined
  private again = false
  private readonly stopping = new AbortController()
  private readonly told = new Map<string, number>()
  private readonly undatedAgainAt = new Map<string, number>()

  private readonly leftOrders: LeftOrders

  constructor(private readonly dependencies: SweepDependencies) {
    const { dispatcher, events, log } = dependencies
    const transact: Transact = (row, work) => this.transact(row, work)
    this.leftOrders = new LeftOrders({ counters: dispatcher.counters, events, log, transact, stopping: this.stopping.signal })
  }

  /** Runs a sweep; where one is running, another one after it. Never rejects. */
  run(): Promise<void> {
    if (this.current) {
      this.again = true
      return this.current
    }
    this.current = this.repeat().finally(() => {
      this.current = undefined
    })
    return this.current
  }

  get running(): boolean {
    return this.current !== undefined
  }

  /** Whether rules could not be read since somebody else holds their lock, who is no worker. */
  get blocked(): boolean {
    return this.dependencies.reads.blocked
  }

  /** When the rule was read that has not been read for the longest, and by whom. */
  get lastRead(): ReturnType<SweepReads['last']> {
    const swept = [...this.dependencies.rules.values()].filter(isSwept)
    return this.dependencies.reads.last(swept.map(({ kind }) => kind))
  }

  /** Arms what comes due before the sweep after next, of these kinds alone, beside any sweep that runs. @returns how many were missing */
  async armAgain(kinds: readonly string[]): Promise<number> {
    let armed = 0
    for (const kind of kinds) {
      const rule = this.dependencies.rules.get(kind)
      if (isSwept(rule)) armed += await this.armUpcoming(kind, rule.row, rule.row.deadline.pending)
    }
    return armed
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    await this.current
  }

  private async repeat(): Promise<void> {
    do {
      this.again = false
      await this.once()
    } while (this.again && !this.stopping.signal.aborted)
  }

  private async once(): Promise<void> {
    const startedAt = performance.now()
    const totals: Totals = { overdue: 0, armed: 0, horizonMs: 0 }
    for (const rule of this.dependencies.rules.values()) {
      if (!isSwept(rule) || this.stopping.signal.aborted) continue
      try {
        await this.sweepRule(rule, totals)
        this.dependencies.dispatcher.ruleHealth.swept(rule.kind)
      } catch (error) {
        if (!this.stopping.signal.aborted) await this.report(rule, error)
      }
    }
    this.lastEndedAt = new Date()
    this.dependencies.events.tell('swept', { ...totals, durationMs: performance.now() - startedAt })
  }

  private async sweepRule(rule: SweptRule, totals: Totals): Promise<void> {
    const { row } = rule
    const { pending } = row.deadline
    if (!(await this.looksRight(rule, row))) return
    const trouble = row.maintenance && (await this.maintain(rule.kind, row, row.maintenance))
    const braked = await this.isBraked(rule, row)
    if (braked) void this.dependencies.reads.read(rule.kind)
    const stale = braked
      ? await this.transact(row, (transaction) => pending.stale(transaction))
      : await this.settleOverdue(rule, row, pending, totals)
    this.dependencies.dispatcher.redeliver(rule)
    const armingAt = performance.now()
    totals.armed += await this.armUpcoming(rule.kind, row, pending)
    totals.horizonMs += performance.now() - armingAt
    await this.leftOrders.takeOff(rule.kind, row) // late by no order's clock, so that it keeps none waiting
    if (!rule.reminder) {
      if (stale) this.tellStale(rule.kind, stale)
      await this.tellUndated(rule.kind, row, pending)
    }
    if (trouble !== undefined) throw trouble
  }

  /** A rule whose table, or whose statements, are wrong settles nothing and arms nothing until a later look finds them right. */
  private async looksRight({ kind }: BoundRule, row: SweptRows): Promise<boolean> {
    const { dispatcher, faults } = this.dependencies
    const { wrong, unseen } = await row.look(!dispatcher.ruleHealth.isBroken(kind))
    if (wrong.length > 0) {
      dispatcher.ruleHealth.checkFailed(kind, wrong)
      return false
    }
    if (unseen === undefined) {
      dispatcher.ruleHealth.checkPassed(kind)
      faults.clear('NOT_LOOKED_AT', kind)
      return true
    }
    if (!isLocked(unseen)) throw unseen
    const message = `${kind}: its statements could not be looked at (${errorText(unseen)}); the next sweep looks again`
    faults.raise('NOT_LOOKED_AT', { kind, message, error: unseen })
    return !dispatcher.ruleHealth.isBroken(kind)
  }

  /** Deadlines and pauses that nobody wrote; portion by portion, so that no transaction is long. @returns what went wrong: it holds up nothing else */
  private async maintain(kind: string, row: SweptRows, maintenance: Maintenance): Promise<unknown> {
    let counts: MaintenanceCounts
    try {
      do {
        counts = await this.transact(row, (transaction) => maintenance.runBatch(transaction, BATCH))
        const { backfilled, paused, resumed } = counts
        if (backfilled + paused + resumed > 0)
          this.dependencies.log('info', `${kind}: ${backfilled} backfilled, ${paused} paused, ${resumed} resumed`, { kind, ...counts })
      } while ((maintenance.hasMore || Math.max(...Object.values(counts)) >= BATCH) && !this.stopping.signal.aborted)
    } catch (error) {
      return error
    }
    const failure = maintenance.takeFailure()
    return failure && new NoDeadline(`${row.guard.table.model.name} ${failure.id} gets no deadline: ${errorText(failure.error)}`)
  }

  private async isBraked(rule: BoundRule, { brake }: SweptRows): Promise<boolean> {
    if (!brake) return false
    const braked = (await brake.brakedAt()) !== null
    this.dependencies.dispatcher.noteBrake(rule, braked)
    return braked
  }

  /** @returns what is overdue for so long that it is left to a person; nothing where the sweep was stopped before it was read */
  private async settleOverdue(rule: BoundRule, row: SweptRows, pending: PendingRows, totals: Totals): Promise<Stale | undefined> {
    const { kind } = rule
    const { dispatcher } = this.dependencies
    const { signal } = this.stopping
    const inHand: Promise<void>[] = []
    let stale: Stale | undefined
    if (!(await dispatcher.admits(kind, signal))) return undefined
    reading: for await (const page of this.overduePages(kind, row, pending)) {
      for (let first = 0; first < page.ids.length; ) {
        if (!(await dispatcher.admits(kind, signal))) break reading
        const ids = page.ids.slice(first, first + dispatcher.batchSize(kind, 'sweep'))
        const work = await this.take(kind, ids)
        totals.overdue += work.ids.length
        inHand.push(dispatcher.dispatch(work))
        first += ids.length
      }
      stale = page.stale
    }
    await Promise.all(inHand)
    return stale
  }

  /** The next page is read while one is worked at; the first ones are small, so that work begins soon and does not stand still. */
  private async *overduePages(kind: string, row: SweptRows, pending: PendingRows): AsyncGenerator<OverduePage> {
    const startedAt = performance.now()
    const { reads } = this.dependencies
    const locked = this.locked(kind, row)
    const { lock } = locked
    const read = (batches: number, after?: Keyset) => {
      const limit = batches * this.dependencies.dispatcher.batchSize(kind, 'sweep')
      const query = { elapsedMs: performance.now() - startedAt, after, limit, lock }
      return this.transact(row, async (transaction) => {
        const page = await pending.overdue(transaction, query)
        return page.next ? page : { ...page, stale: await pending.stale(transaction) }
      })
    }
    let batches = 1
    let reading: Promise<OverduePage> = read(batches)
    try {
      while (!this.stopping.signal.aborted) {
        const page = await reading
        if (!page.wasRead) await reads.heldUp(locked)
        else if (batches === 1) void reads.read(kind)
        if (page.next) {
          batches = Math.min(4 * batches, BATCHES_READ)
          reading = read(batches, page.next)
          reading.catch(() => {}) // thrown where it is awaited
        }
        yield page
        if (!page.next) break
      }
    } finally {
      await reading.catch(() => {})
    }
  }

  private locked(kind: string, row: SweptRows): Locked {
    const { table } = row.guard
    const lock = `express-order-timers:sweep:${this.dependencies.prefix}${kind}:${table.table}`
    return { kind, lock, sequelize: table.sequelize, transact: (work) => this.transact(row, work) }
  }

  /** Claims in the index where Redis answers, else in memory: then only the guard keeps two workers apart, and it suffices. */
  private async take(kind: string, ids: string[]): Promise<Work> {
    const { redis, memory } = this.dependencies
    if (redis?.answering()) {
      try {
        return await redis.claims.overdue(kind, ids)
      } catch {
        // Redis went away, or refuses the claim: said by the claims; the rows are settled all the same
      }
    }
    return memory.overdue(kind, ids)
  }

  private async armUpcoming(kind: string, row: SweptRows, pending: PendingRows): Promise<number> {
    const { redis } = this.dependencies
    if (!redis?.answering()) return 0
    const horizonMs = this.dependencies.horizonMs()
    let after: Keyset | undefined
    let armed = 0
    do {
      const query = { horizonMs, after, limit: BATCHES_READ * BATCH }
      const page = await this.transact(row, (transaction) => pending.upcoming(transaction, query))
      for (let first = 0; first < page.ids.length; first += BATCH) {
        if (this.stopping.signal.aborted) return armed
        const last = first + BATCH
        try {
          armed += await redis.index.armMissing(kind, page.ids.slice(first, last), page.deadlines.slice(first, last))
        } catch (error) {
          if (!isRedisTrouble(error)) throw error
          return armed // its connection tells it, and the sweep goes on: the rows have the deadlines
        }
      }
      after = page.next
    } while (after)
    return armed
  }

  /** What the sweep leaves, and a person should look at. */
  private tellStale(kind: string, { count, oldest }: Stale): void {
    if (!this.hasChanged(`${kind} stale`, count) || oldest === null) return
    this.dependencies.log('warn', `${kind}: ${many(count)} orders are overdue by more than "staleAfter" and are not settled`, {
      ...{ code: 'STALE', kind, count },
    })
    this.dependencies.events.tell('stale', { kind, count, oldest: new Date(oldest) })
  }

  private async tellUndated(kind: string, row: SweptRows, pending: PendingRows): Promise<void> {
    const startedAt = performance.now()
    if (startedAt < (this.undatedAgainAt.get(kind) ?? 0)) return
    const count = await this.transact(row, (transaction) => pending.undated(transaction))
    await this.leftOrders.takeOffPauses(kind, row)
    await this.leftOrders.count(kind, row)
    const endedAt = performance.now()
    this.undatedAgainAt.set(kind, endedAt + Math.max(UNDATED_EVERY_MS, REST_FACTOR * (endedAt - startedAt)))
    if (!this.hasChanged(`${kind} undated`, count)) return
    this.dependencies.log('info', `${kind}: ${many(count)} orders are where the rule applies and have no deadline`, {
      code: 'UNDATED',
      kind,
      count,
    })
    this.dependencies.events.tell('undated', { kind, count })
  }

  /** Whether a count is another one than was told before, and not 0. */
  private hasChanged(what: string, count: number): boolean {
    const known = this.told.get(what) ?? 0
    this.told.set(what, count)
    return count !== 0 && count !== known
  }

  /** A sweep that is stopped waits for no silent connection. */
  private transact<T>({ guard }: SettledRows, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return inTransaction(guard.table.sequelize, LIMITS, work, this.stopping.signal)
  }

  /** What went wrong, by whose fault it is. */
  private async report(rule: BoundRule, error: unknown): Promise<void> {
    const { faults, dispatcher } = this.dependencies
    const { kind } = rule
    if (error instanceof OrderTimersError && error.code === 'ERR_ORDER_TIMERS_REDIS_UNAVAILABLE') return
    const whose = error instanceof NoDeadline ? 'rule' : faultOwnerOf(error)
    if (whose === 'configuration' || whose === 'internal') {
      await dispatcher.ruleHealth.failed(rule, whose, error)
      return
    }
    if (faults.justWoke()) this.again = true // it failed for that, most likely
    const message = `${kind}: the sweep could not read or settle (${errorText(error)}); the next one tries again`
    faults.raise('SWEEP_FAILED', { kind, message, error })
  }
}

/** The shop's own `after` failed on an order. */
class NoDeadline extends Error {}

function many(count: number): string {
  return count >= MOST_COUNTED ? `${MOST_COUNTED} or more` : String(count)
}
