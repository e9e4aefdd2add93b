// The switch by which a hold stops settling. Each settling transaction takes a shared lock of its kind within BEGIN, and looks at the holds by the
// next statement, whose snapshot is younger than the lock. `hold` commits its row first and then waits for the exclusive lock. So each settling
// transaction either sees the row, or has ended before `hold` returns. Where there is no table of holds yet the lock is that of the orders' table,
// for which `hold` waits too: the table of holds may come while a transaction settles.

import { createHash } from 'node:crypto'
import type { Transaction } from 'sequelize'
import type { BeginQuestion } from '../sequelize/database.js'
import { rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { NOW_SQL, type NowRow, notePostgresClock } from '../sequelize/postgres-clock.js'
import { withoutBinding } from '../sequelize/sql.js'
import { UNDEFINED_TABLE } from '../sequelize/sqlstates.js'
import { epochMsSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'

/** Where a kind's holds are: the table, the prefix and the kind. */
export interface HoldPlace {
  readonly prefix: string
  readonly kind: string
  readonly orders: OrderTable
  /** As SQL. */
  readonly table: string
}

/** Why nothing was settled. */
export interface OnHold {
  /** Undefined if a hold is just being placed. */
  since: number | undefined
  reason: string
  /** Milliseconds until it opens by itself; undefined if it does not. */
  opensInMs: number | undefined
}

const PLACING: OnHold = { since: undefined, reason: '', opensInMs: undefined }

/** The statements within BEGIN. */
export interface BeginRow extends NowRow {
  order_timers_free?: unknown
  order_timers_holds?: unknown
  order_timers_held?: unknown
  order_timers_since?: unknown
  order_timers_reason?: string
  order_timers_opens_in?: unknown
}

/**
 * The two numbers of the kind's lock, as SQL. The first belongs to the table: processes may write its schema or not, and shops in other schemas have
 * other locks. Kinds with the same second number wait while holds are placed for each other, but no longer.
 */
export function holdLockSql(place: HoldPlace, table = place.table): string {
  return `${tableNumberSql(place, table)}::int4, ${nameNumber(place)}`
}

/** Waits until nobody has either of the kind's locks. */
export function awaitLocksSql(place: HoldPlace): string {
  const locks = tablesOf(place).map((table, i) => `pg_advisory_xact_lock(${holdLockSql(place, table)}) IS NULL AS lock_${i}`)
  return `SELECT ${locks.join(', ')}`
}

/** The processes of Postgres that have one of the kind's locks. */
export function withLockHolders(place: HoldPlace): string {
  const numbers = tablesOf(place).map((table) => tableNumberSql(place, table))
  // Postgres shows the two numbers without a sign: https://www.postgresql.org/docs/current/view-pg-locks.html
  return `SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted
  AND classid IN (${numbers.join(', ')}) AND objid::bigint = ${nameNumber(place) >>> 0}
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
}

function tablesOf({ orders, table }: HoldPlace): string[] {
  return [table, orders.table]
}

function tableNumberSql({ orders }: HoldPlace, table: string): string {
  return withoutBinding(`${orders.literal(withoutBinding(table))}::regclass::oid`)
}

function nameNumber({ prefix, kind }: HoldPlace): number {
  return createHash('sha1').update(`express-order-timers:hold:${prefix}:${kind}`).digest().readInt32BE()
}

export class HoldSwitch {
  /** Whether the table existed at the last check. */
  private exists = false
  /** In CASE, since the table must be looked for after the lock is taken; NULL if it is not. One statement is faster than two. */
  private readonly seek: string
  private readonly lock: string
  /** As short as possible: it runs with each batch, and Postgres plans it each time. */
  private readonly glance: string
  private readonly look: string

  constructor(private readonly place: HoldPlace) {
    const { prefix, kind, orders, table } = place
    const standing = `FROM ${table} WHERE prefix = ${orders.literal(prefix)} AND kind = ${orders.literal(kind)} AND state <> 'released'
  AND (opens_at IS NULL OR opens_at > clock_timestamp())`
    const tryLock = (of: string) => `pg_try_advisory_xact_lock_shared(${holdLockSql(place, of)})`
    const isThere = withoutBinding(`to_regclass(${orders.literal(withoutBinding(table))}) IS NOT NULL`)
    this.seek = `SELECT CASE WHEN ${tryLock(orders.table)} THEN ${isThere} END AS order_timers_holds, ${NOW_SQL}`
    this.lock = `SELECT ${tryLock(table)} AS order_timers_free, ${NOW_SQL}`
    this.glance = withoutBinding(`SELECT 1 AS order_timers_held ${standing} LIMIT 1`)
    this.look = withoutBinding(`SELECT ${epochMsSql('since')} AS order_timers_since, reason AS order_timers_reason,
  extract(epoch FROM opens_at - clock_timestamp())::float8 * 1000 AS order_timers_opens_in
${standing} ORDER BY opens_at NULLS FIRST LIMIT 1`)
  }

  /**
   * Makes `transact` begin its transaction with the lock, a read of the holds and a reading of Postgres's clock, in the round trip of BEGIN.
   * @param settle called with the reason why nothing may be settled; undefined if it may
   */
  async within<T>(
    transact: (begin: BeginQuestion, work: (transaction: Transaction) => Promise<T>) => Promise<T>,
    settle: (transaction: Transaction, onHold: OnHold | undefined) => Promise<T>,
  ): Promise<T> {
    const glances = this.exists
    let answer: readonly BeginRow[] = []
    const begin = {
      statements: glances ? [this.lock, this.glance] : [this.seek],
      answer: (found: readonly BeginRow[], askedAt: number) => {
        answer = found
        notePostgresClock(this.place.orders.sequelize, found[0], askedAt)
      },
    }
    try {
      return await transact(begin, async (transaction) => {
        const ask = async (sql: string) => (await rows<BeginRow>(this.place.orders.sequelize, sql, undefined, transaction))[0]
        const [first, second] = answer
        const isFree = glances ? isTrue(first?.order_timers_free) : (first?.order_timers_holds ?? null) !== null
        if (!isFree) return settle(transaction, PLACING)
        if (glances) return settle(transaction, second && onHoldOf(await ask(this.look)))
        this.exists = isTrue(first?.order_timers_holds)
        if (!this.exists) return settle(transaction, undefined)
        // Once: the table was created since the last check.
        const lock = await ask(this.lock)
        return settle(transaction, isTrue(lock?.order_timers_free) ? onHoldOf(await ask(this.look)) : PLACING)
      })
    } catch (error) {
      if (!glances || sqlStateOf(error) !== UNDEFINED_TABLE || answer.length > 0) throw error
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

/** The results of BEGIN pass through the shop's own parsers. */
export function isTrue(value: unknown): boolean {
  return value === true || value === 't' || value === 'true'
}
