// What the page reads of a rule's orders: counts that end at 10,000, pages by keyset, and slices of time. Each read is one statement of a second at
// most, in a read-only transaction, one at a time for all pages together.

import type { Transaction } from 'sequelize'
import { keptFailures } from '../admin/kept-failures.js'
import { problemOf } from '../admin/problem.js'
import {
  cappedCountsSql,
  type ListedState,
  LOOK_SETTINGS,
  type PageQuery,
  pageSql,
  pausedCountSql,
  slicesSql,
} from '../rows/capped-orders-sql.js'
import { CANNOT_SEE_LOCKS } from '../rows/order-counts-sql.js'
import type { RowRule, SettledRows } from '../rows/row-rule.js'
import type { ShopRule } from '../rules/rule.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { QUERY_CANCELED } from '../sequelize/sqlstates.js'
import { QUICK_QUESTION } from '../sequelize/statement-limits.js'
import type { Runtime } from '../timers/runtime.js'
import { Refusal } from '../web/refusal.js'
import type { Turn } from './turn.js'

export interface CappedCount {
  count: number
  /** Milliseconds since 1970. */
  first: number | null
  last: number | null
}

export interface CappedCounts {
  states: Partial<Record<ListedState, CappedCount>>
  /** How many dead letters there are. */
  dead: number
  /** The orders that are tried again. */
  retrying: readonly string[]
  /** Postgres's time. */
  nowMs: number
}

/** Where a page goes on: behind an order, in microseconds since 1970. `order` is undefined where it goes on behind a deadline. */
export interface Place {
  micros: string
  id?: string
}

export interface PageWish {
  state: ListedState
  after?: Place | undefined
  /** Whether orders with the very deadline of `after` come too, where that names no order. */
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
  /** Where to go on although the page is not full: so much was read that was in other states. */
  resume: string | undefined
  nowMs: number
}

/** A rule whose deadlines are on its rows. */
export type ListedRule = ShopRule & { readonly row: SettledRows & RowRule }

export function isListed(rule: ShopRule | undefined): rule is ListedRule {
  return rule?.row !== undefined && rule.row.deadline.in !== 'redis'
}

export class OrderReads {
  constructor(
    private readonly runtime: Runtime,
    private readonly turn: Turn,
  ) {}

  async counts({ kind, row }: ListedRule): Promise<CappedCounts> {
    const bind = await this.failed(kind)
    const found = await this.withLocks((seesLocks) =>
      this.ask<{ state: ListedState | 'now' } & CappedCount>(row, cappedCountsSql(row, seesLocks), bind),
    )
    const states = Object.fromEntries(found.map(({ state, count, first, last }) => [state, { count, first, last }]))
    const { now, ...others } = states
    return { states: others, dead: bind[0].length, retrying: bind[1], nowMs: now?.first ?? Date.now() }
  }

  /** Undefined where the rule has no `pause`. */
  async paused({ row }: ListedRule): Promise<number | undefined> {
    const sql = pausedCountSql(row)
    if (sql === undefined) return undefined
    const [found] = await this.ask<{ count: number }>(row, sql, [])
    return found?.count ?? 0
  }

  async page({ kind, row }: ListedRule, { state, after, inclusive = false, withinMs, limit }: PageWish): Promise<FoundPage> {
    const how: PageQuery['after'] = after && (after.id !== undefined ? 'order' : inclusive ? 'before deadline' : 'deadline')
    const bind = [...(await this.failed(kind)), limit, ...(after ? [after.micros] : []), ...(after?.id === undefined ? [] : [after.id])]
    if (withinMs !== undefined) bind.push(withinMs)
    const query = { state, after: how, within: withinMs !== undefined }
    const found = await this.withLocks((seesLocks) =>
      this.ask<{ id: string | null; deadline_ms: number; micros: string | null }>(row, pageSql(row, { ...query, seesLocks }), bind),
    )
    const orders = found.flatMap(({ id, deadline_ms, micros }) => (id === null ? [] : [{ id, deadlineMs: deadline_ms, micros }]))
    const end = found.find(({ id }) => id === null)
    return { orders, resume: orders.length < limit ? (end?.micros ?? undefined) : undefined, nowMs: end?.deadline_ms ?? Date.now() }
  }

  async slices({ kind, row }: ListedRule, withinMs: number, seconds: number): Promise<{ fromMs: number; count: number }[]> {
    const bind = [...(await this.failed(kind)), withinMs, seconds]
    const found = await this.ask<{ from_ms: number; count: number }>(row, slicesSql(row), bind)
    return found.map(({ from_ms, count }) => ({ fromMs: from_ms, count }))
  }

  /** Since when the rule's brake has stopped it. */
  async brakedAt({ row }: ListedRule): Promise<Date | null> {
    const { brake } = row
    return brake ? this.within(row, (transaction) => brake.brakedAt(transaction)) : null
  }

  /** What a read threw, in words for a person. */
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

  /** What opens transactions by itself. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.turn.take(work)
  }

  /** Reads in a transaction of its own. */
  within<T>(row: RowRule, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const { sequelize } = row.guard.table
    return this.turn.take(() =>
      inTransaction(sequelize, QUICK_QUESTION, async (transaction) => {
        await rows(sequelize, LOOK_SETTINGS, undefined, transaction)
        return work(transaction)
      }),
    )
  }

  private async withLocks<T>(read: (seesLocks: boolean) => Promise<T>): Promise<T> {
    try {
      return await read(true)
    } catch (error) {
      if (!CANNOT_SEE_LOCKS.includes(sqlStateOf(error) ?? '')) throw error
      return await read(false)
    }
  }

  /** What the statements bind first. Where Redis does not say, no order counts as failed. */
  private async failed(kind: string): Promise<[string[], string[]]> {
    const { failed } = await keptFailures(this.runtime, kind)
    return [failed?.dead ?? [], failed?.retrying ?? []]
  }
}
