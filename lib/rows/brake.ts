// The brake: stops a rule that settles too many orders, until a person releases it. Orders are counted in Postgres, in the settling
// transactions, so that the limit holds for all workers together and survives restarts.

import type { Transaction } from 'sequelize'
import { inUnits } from '../duration.js'
import { callConnectionOf, REDIS_SHARE_MS, withinCall } from '../sequelize/call-connection.js'
import { rows, statement } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { LOCK_NOT_AVAILABLE } from '../sequelize/sqlstates.js'
import { boundIntervalSql, intervalSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'

export const BRAKE_TABLE = 'order_timers_brakes'

/** A span of time that has not begun. */
const WHEN_SETTLING_BEGINS = "'infinity'::timestamptz"

/** How many orders may be settled now, and whether the rule is stopped. */
export interface Allowance {
  orders: number
  braked: boolean
}

export class Brake {
  readonly table: string

  constructor(
    private readonly kind: string,
    private readonly orders: OrderTable,
    private readonly limit: { max: number; perMs: number },
  ) {
    this.table = orders.inSameSchema(BRAKE_TABLE)
  }

  /** The SQL of the table's creation, for a migration: safe to repeat. */
  static createSql(table: string): string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${table} (
  kind text PRIMARY KEY,
  since timestamptz NOT NULL DEFAULT now(),
  settled integer NOT NULL DEFAULT 0,
  braked_at timestamptz
)`,
    ]
  }

  /** As text, for a log. */
  get inWords(): string {
    return `more than ${this.limit.max} orders within ${inUnits(this.limit.perMs)}`
  }

  /**
   * Locks the kind's count until the transaction ends, so that two workers cannot use the same allowance.
   * @returns 'locked' if another batch holds the lock for longer than the transaction waits
   */
  async allowance(transaction: Transaction): Promise<Allowance | 'locked'> {
    const over = `b.since <= now() - ${boundIntervalSql('$2')}`
    const sql = `INSERT INTO ${this.table} AS b (kind) VALUES ($1) ON CONFLICT (kind) DO UPDATE
SET since = CASE WHEN ${over} OR b.since = ${WHEN_SETTLING_BEGINS} THEN now() ELSE b.since END, settled = CASE WHEN ${over} THEN 0 ELSE b.settled END
RETURNING settled, braked_at IS NOT NULL AS braked`
    type Row = { settled: number; braked: boolean }
    try {
      const [row] = await rows<Row>(this.orders.sequelize, sql, [this.kind, this.limit.perMs], transaction)
      const { settled = 0, braked = false } = row ?? {}
      return { orders: braked ? 0 : Math.max(0, this.limit.max - settled), braked }
    } catch (error) {
      if (sqlStateOf(error) === LOCK_NOT_AVAILABLE) return 'locked'
      throw error
    }
  }

  /** How many orders may be settled now, without a lock; 0 where the rule is stopped. */
  async remaining(transaction?: Transaction): Promise<number> {
    const sql = `SELECT CASE WHEN braked_at IS NOT NULL THEN 0 WHEN since <= now() - ${intervalSql(this.limit.perMs)} THEN ${this.limit.max}
  ELSE greatest(0, ${this.limit.max} - settled::float8) END AS remaining FROM ${this.table} WHERE kind = $1`
    const [row] = await this.ask<{ remaining: number }>(sql, transaction)
    return row?.remaining ?? this.limit.max
  }

  async count(settled: number, over: boolean, transaction: Transaction): Promise<void> {
    if (settled === 0 && !over) return
    const brakes = over ? ', braked_at = coalesce(braked_at, now())' : ''
    const sql = `UPDATE ${this.table} SET settled = settled + $2${brakes} WHERE kind = $1`
    await rows(this.orders.sequelize, sql, [this.kind, settled], transaction)
  }

  /** When the rule was stopped; null if it is not stopped. */
  async brakedAt(transaction?: Transaction): Promise<Date | null> {
    const sql = `SELECT floor(date_part('epoch', braked_at) * 1000) AS braked_ms FROM ${this.table} WHERE kind = $1`
    const [row] = await this.ask<{ braked_ms: number | null }>(sql, transaction)
    return typeof row?.braked_ms === 'number' ? new Date(row.braked_ms) : null
  }

  /**
   * Lets the rule continue, counting from 0.
   * @param shownMs only if it was stopped at this time, in whole milliseconds, or is not stopped
   * @returns whether it was stopped, and was released
   */
  async release(transaction?: Transaction, shownMs: number | null = null): Promise<boolean> {
    const sql = `WITH old AS (SELECT braked_at FROM ${this.table} WHERE kind = $1 FOR UPDATE)
UPDATE ${this.table} SET braked_at = NULL, settled = 0, since = now() FROM old
WHERE kind = $1 AND ($2::float8 IS NULL OR old.braked_at IS NULL OR floor(date_part('epoch', old.braked_at) * 1000) = $2) RETURNING old.braked_at IS NOT NULL AS braked`
    const { sequelize } = this.orders
    const release = (within: Transaction) => {
      const write = () => rows<{ braked: boolean }>(sequelize, sql, [this.kind, shownMs], within)
      return callConnectionOf(within)?.write(write) ?? write()
    }
    const alone = () => withinCall(sequelize, undefined, performance.now() - REDIS_SHARE_MS, release)
    const [row] = await (transaction ? release(transaction) : alone())
    return row?.braked ?? false
  }

  /**
   * Lets the rule continue, and so many more orders pass than its limit, within its time. That begins with the next order, since the rule may stay
   * held for longer than its time.
   */
  async expect(orders: number, transaction: Transaction): Promise<void> {
    const sql = `INSERT INTO ${this.table} (kind, settled, since) VALUES ($1, -$2::integer, ${WHEN_SETTLING_BEGINS})
ON CONFLICT (kind) DO UPDATE SET settled = EXCLUDED.settled, since = EXCLUDED.since, braked_at = NULL`
    await rows(this.orders.sequelize, sql, [this.kind, orders], transaction)
  }

  private ask<Row>(sql: string, transaction: Transaction | undefined): Promise<Row[]> {
    const { sequelize } = this.orders
    return transaction ? rows<Row>(sequelize, sql, [this.kind], transaction) : statement<Row>(sequelize, sql, [this.kind])
  }
}
