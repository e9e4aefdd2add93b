// The switch by which a hold stops settling. Each settling transaction takes a shared lock of its kind within BEGIN, and looks at the holds by the
// next statement, whose snapshot is younger than the lock. `hold` commits its row first and then waits for the exclusive lock. So each settling
// transaction either sees the row, or has ended before `hold` returns.

import type { Transaction } from 'sequelize'
import type { BeginQuestion } from '../sequelize/database.js'
import { rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { withoutBinding } from '../sequelize/sql.js'
import { UNDEFINED_TABLE } from '../sequelize/sqlstates.js'
import { epochMsSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'

/** A kind's holds: in which table, and under which names. */
export interface HoldPlace {
  readonly prefix: string
  readonly kind: string
  readonly orders: OrderTable
  /** As SQL. */
  readonly table: string
}

/** Why nothing was settled. */
export interface OnHold {
  /** Undefined where a hold is being placed at this moment. */
  since: number | undefined
  reason: string
  /** Milliseconds until it opens by itself; undefined where it does not. */
  opensInMs: number | undefined
}

/** What is asked within BEGIN. */
export interface BeginRow {
  order_timers_free?: unknown
  order_timers_holds?: unknown
  order_timers_since?: unknown
  order_timers_reason?: string
  order_timers_opens_in?: unknown
}

/**
 * The key of the kind's lock, as SQL. The table of holds is in it by its number: processes may name its schema or not, and shops in other schemas
 * have locks of their own.
 */
export function holdLockSql({ prefix, kind, orders, table }: HoldPlace): string {
  const name = orders.literal(`express-order-timers:hold:${prefix}:${kind}:`)
  return withoutBinding(`hashtextextended(concat(${name}, to_regclass(${orders.literal(withoutBinding(table))})::oid), 0)`)
}

/** The processes of Postgres that have the kind's lock. */
export function withLockHolders(place: HoldPlace): string {
  // Postgres shows the two halves of the key: https://www.postgresql.org/docs/current/view-pg-locks.html
  return `WITH lock AS (SELECT ${holdLockSql(place)} AS key)
SELECT l.pid FROM lock JOIN pg_locks AS l ON l.classid::bigint = ((lock.key >> 32) & 4294967295) AND l.objid::bigint = (lock.key & 4294967295)
WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`
}

export class HoldSwitch {
  /** Whether the table was there when it was last looked for. */
  private exists = false
  private readonly lock: string
  private readonly look: string

  constructor(private readonly place: HoldPlace) {
    const { prefix, kind, orders, table } = place
    const name = orders.literal(withoutBinding(table))
    this.lock = withoutBinding(
      `SELECT pg_try_advisory_xact_lock_shared(${holdLockSql(place)}) AS order_timers_free, to_regclass(${name}) IS NOT NULL AS order_timers_holds`,
    )
    this.look = withoutBinding(`SELECT ${epochMsSql('since')} AS order_timers_since, reason AS order_timers_reason,
  extract(epoch FROM opens_at - clock_timestamp())::float8 * 1000 AS order_timers_opens_in
FROM ${table} WHERE prefix = ${orders.literal(prefix)} AND kind = ${orders.literal(kind)} AND state <> 'released'
  AND (opens_at IS NULL OR opens_at > clock_timestamp()) ORDER BY opens_at NULLS FIRST LIMIT 1`)
  }

  /**
   * Has `transact` begin its transaction with the lock and the look, in the round trip of BEGIN.
   * @param settle called with why nothing may be settled; undefined where it may
   */
  async within<T>(
    transact: (begin: BeginQuestion, work: (transaction: Transaction) => Promise<T>) => Promise<T>,
    settle: (transaction: Transaction, onHold: OnHold | undefined) => Promise<T>,
  ): Promise<T> {
    const looks = this.exists
    let answer: readonly BeginRow[] = []
    const begin = {
      statements: looks ? [this.lock, this.look] : [this.lock],
      answer: (found: readonly object[]) => {
        answer = found
      },
    }
    try {
      return await transact(begin, async (transaction) => {
        const [first = {}, ...held] = answer
        this.exists = isTrue(first.order_timers_holds)
        if (!isTrue(first.order_timers_free)) return settle(transaction, { since: undefined, reason: '', opensInMs: undefined })
        if (looks || !this.exists) return settle(transaction, onHoldOf(held[0]))
        // Once: the table has come since the last look for it.
        const [hold] = await rows<BeginRow>(this.place.orders.sequelize, this.look, undefined, transaction)
        return settle(transaction, onHoldOf(hold))
      })
    } catch (error) {
      if (!looks || sqlStateOf(error) !== UNDEFINED_TABLE || answer.length > 0) throw error
      this.exists = false // it was dropped
      return this.within(transact, settle)
    }
  }
}

function onHoldOf(row: BeginRow | undefined): OnHold | undefined {
  if (row?.order_timers_since === undefined) return undefined
  const { order_timers_since: since, order_timers_reason: reason = '', order_timers_opens_in: opensIn } = row
  return { since: Number(since), reason, opensInMs: opensIn === null || opensIn === undefined ? undefined : Number(opensIn) }
}

/** The answers of BEGIN are as the shop's own parsers read them. */
export function isTrue(value: unknown): boolean {
  return value === true || value === 't' || value === 'true'
}
