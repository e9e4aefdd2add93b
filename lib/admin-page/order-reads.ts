// What the page reads of a rule's orders: counts up to 10,000, pages by keyset, and slices of time. Each read is one statement of a second at
// most, in a read-only transaction, one at a time for all pages together.

import type { Transaction } from 'sequelize'
import { problemOf } from '../admin/problem.js'
import { CAP } from '../rows/cap.js'
import { CAPPED_LOOK_SETTINGS, cappedCountsSql, type ListedState, type PageQuery, pageSql, slicesSql } from '../rows/capped-orders-sql.js'
import { noteHeldTime } from '../rows/held-time.js'
import type { Hold } from '../rows/holds.js'
import { CANNOT_SEE_LOCKS } from '../rows/order-counts-sql.js'
import type { RowRule, SettledRows } from '../rows/row-rule.js'
import { type Portion, WalkedOrders } from '../rows/walked-orders.js'
import type { ShopRule } from '../rules/rule.js'
import { type BeginQuestion, inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { QUERY_CANCELED } from '../sequelize/sqlstates.js'
import { QUICK_QUESTION, type StatementLimits } from '../sequelize/statement-limits.js'
import type { Runtime } from '../timers/runtime.js'
import { Refusal } from '../web/refusal.js'
import { FailuresOfRules } from './known-failures.js'
import type { Turn } from './turn.js'

/** A read waits for a table's lock no longer than this: the screen "Now" says who holds it. */
const LIMITS: StatementLimits = { ...QUICK_QUESTION, lockMs: 100 }

/** In the round trip of BEGIN. */
const BEGIN: BeginQuestion = { statements: [CAPPED_LOOK_SETTINGS], answer() {} }

/** How many orders are read for a page at first. If they do not fill it, up to the cap are read. */
const FIRST_READ = 500

/** How long a page of orders without an index is searched. */
const WALK_MS = 150

export interface CappedCount {
  count: number
  /** Milliseconds since 1970. */
  first: number | null
  last: number | null
}

export interface CappedCounts {
  states: Partial<Record<ListedState, CappedCount>>
  /** How many dead letters there are; undefined if that is not known. */
  dead: number | undefined
  /** The orders that are tried again. */
  retrying: readonly string[]
  /** Postgres's time. */
  nowMs: number
}

/** Where a page continues: after an order, in microseconds since 1970. `order` is undefined if it continues after a deadline. */
export interface Place {
  micros: string
  id?: string
}

export interface Stops {
  /** A person's hold first. */
  holds: Hold[]
  /** Since when the rule's brake has stopped it. */
  brakedAt: Date | null
}

export interface PageWish {
  state: ListedState
  after?: Place | undefined
  /** Whether orders with the deadline of `after` itself are included, if `after` names no order. */
  inclusive?: boolean
  withinMs?: number | undefined
  limit: number
}

export interface FoundOrder {
  id: string
  deadlineMs: number
  micros: string | null
}

export interface FoundPage {
  orders: FoundOrder[]
  /** Where to continue although the page is not full: the cap was reached by orders in other states. */
  resume: string | undefined
  nowMs: number
}

interface FoundRow {
  id: string | null
  deadline_ms: number
  micros: string | null
}

/** A rule whose deadlines are on its rows. */
export type ListedRule = ShopRule & { readonly row: SettledRows & RowRule }

export function isListed(rule: ShopRule | undefined): rule is ListedRule {
  return rule?.row !== undefined && rule.row.deadline.in !== 'redis'
}

export class OrderReads {
  private readonly failures: FailuresOfRules

  constructor(
    runtime: Runtime,
    private readonly turn: Turn,
  ) {
    this.failures = new FailuresOfRules(runtime)
  }

  /** @param isHeld then orders without another excuse count as held */
  async counts({ kind, row }: ListedRule, isHeld: boolean): Promise<CappedCounts> {
    const { dead, retrying, bind, isKnown } = await this.failures.of(kind)
    const found = await this.withLocks((seesLocks) =>
      this.ask<{ state: ListedState | 'now' } & CappedCount>(row, cappedCountsSql(row, seesLocks, isHeld), bind),
    )
    const states = Object.fromEntries(found.map(({ state, count, first, last }) => [state, { count, first, last }]))
    const { now, ...others } = states
    return { states: others, dead: isKnown ? dead.length : undefined, retrying, nowMs: now?.first ?? Date.now() }
  }

  /** Slow with many orders, and reads only while no other read runs. Ends at the cap. Undefined if the rule has no `pause`. */
  async paused({ row }: ListedRule): Promise<number | undefined> {
    const { pausedSql } = new WalkedOrders(row)
    if (pausedSql === undefined) return undefined
    let count = 0
    for (let after: string | undefined; count <= CAP; ) {
      const from = after
      const portion = (transaction: Transaction) => new WalkedOrders(row).portion(transaction, pausedSql, from, CAP + 1)
      const { ids, next } = await this.turn.takeWhenQuiet(() => inTransaction(row.guard.table.sequelize, LIMITS, portion, { begin: BEGIN }))
      count += ids.length
      if (next === undefined) break
      after = next
    }
    return Math.min(count, CAP + 1)
  }

  /** A page of the orders without a deadline, by id. One that is not full may have a next page: the time for searching was over. */
  async undated({ row }: ListedRule, after: string | undefined, limit: number): Promise<Portion> {
    const { undatedSql } = new WalkedOrders(row)
    const begunAt = performance.now()
    const ids: string[] = []
    let next = after
    do {
      const portion = await this.walk(row, undatedSql, next, limit - ids.length)
      ids.push(...portion.ids)
      next = portion.next
    } while (next !== undefined && ids.length < limit && performance.now() - begunAt < WALK_MS)
    return { ids, next }
  }

  private walk(row: RowRule & SettledRows, isWanted: string, after: string | undefined, most: number): Promise<Portion> {
    return this.within(row, (transaction) => new WalkedOrders(row).portion(transaction, isWanted, after, most))
  }

  async page(rule: ListedRule, { state, after, inclusive = false, withinMs, limit }: PageWish): Promise<FoundPage> {
    const { kind, row } = rule
    const isHeld = state !== 'pending' && (await this.stops(rule)).holds.length > 0
    const how: PageQuery['after'] = after && (after.id !== undefined ? 'order' : inclusive ? 'before deadline' : 'deadline')
    const bind = [
      ...(await this.failures.of(kind)).bind,
      limit,
      ...(after ? [after.micros] : []),
      ...(after?.id === undefined ? [] : [after.id]),
    ]
    if (withinMs !== undefined) bind.push(withinMs)
    const query = { state, after: how, within: withinMs !== undefined, isHeld }
    const read = async (most: number): Promise<FoundPage> => {
      const found = await this.withLocks((seesLocks) => this.ask<FoundRow>(row, pageSql(row, { ...query, seesLocks, most }), bind))
      const orders = found.flatMap(({ id, deadline_ms, micros }) => (id === null ? [] : [{ id, deadlineMs: deadline_ms, micros }]))
      const end = found.find(({ id }) => id === null)
      return { orders, resume: orders.length < limit ? (end?.micros ?? undefined) : undefined, nowMs: end?.deadline_ms ?? Date.now() }
    }
    const first = await read(FIRST_READ)
    return first.resume === undefined ? first : read(CAP)
  }

  async slices({ kind, row }: ListedRule, withinMs: number, seconds: number): Promise<{ fromMs: number; count: number }[]> {
    const bind = [...(await this.failures.of(kind)).bind, withinMs, seconds]
    const found = await this.ask<{ from_ms: number; count: number }>(row, slicesSql(row), bind)
    return found.map(({ from_ms, count }) => ({ fromMs: from_ms, count }))
  }

  /** What stops the rule. Later statements then know how long it was held. */
  stops({ row }: { row: RowRule }): Promise<Stops> {
    return this.within(row, async (transaction) => {
      await noteHeldTime(row, transaction)
      const holds = await row.holds.standing(transaction)
      return { holds, brakedAt: (await row.brake?.brakedAt(transaction)) ?? null }
    })
  }

  /** The error of a read, as text for a person. */
  async problem({ row }: Pick<ShopRule, 'row'>, error: unknown): Promise<Refusal> {
    if (error instanceof Refusal) return error
    if (sqlStateOf(error) === QUERY_CANCELED) {
      const why = 'an index on the deadline is missing (order-timers migration prints it), or the server is busy'
      return new Refusal(503, 'TOO_SLOW', `Postgres did not find it within a second; ${why}`)
    }
    return new Refusal(503, 'POSTGRES', (await this.turn.take(() => problemOf({ row }, error))).message)
  }

  private ask<Row>(row: RowRule, sql: string, bind: readonly unknown[]): Promise<Row[]> {
    return this.within(row, (transaction) => rows<Row>(row.guard.table.sequelize, sql, bind, transaction))
  }

  /** For functions that open their own transactions. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.turn.take(work)
  }

  /** Reads in a transaction of its own. */
  within<T>(row: RowRule, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const { sequelize } = row.guard.table
    return this.turn.take(() => inTransaction(sequelize, LIMITS, work, { begin: BEGIN }))
  }

  private async withLocks<T>(read: (seesLocks: boolean) => Promise<T>): Promise<T> {
    try {
      return await read(true)
    } catch (error) {
      if (!CANNOT_SEE_LOCKS.includes(sqlStateOf(error) ?? '')) throw error
      return await read(false)
    }
  }

  /** After an act. */
  forget(): void {
    this.failures.forget()
  }
}
