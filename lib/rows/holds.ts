// The table of holds: while it has an active row of a kind, no order of the kind is settled. A hold is held, then releasing, then released, and its
// row stays. This file places, reads and ends holds; hold-switch.ts is what each settling transaction uses. A migration creates the table.

import type { Sequelize, Transaction } from 'sequelize'
import { OrderTimersError } from '../errors.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { withoutBinding } from '../sequelize/sql.js'
import { INSUFFICIENT_PRIVILEGE, LOCK_WAIT_ENDED, UNDEFINED_COLUMN, UNDEFINED_TABLE } from '../sequelize/sqlstates.js'
import { ONE_STATEMENT, QUICK_QUESTION } from '../sequelize/statement-limits.js'
import { alreadyHeld, notHeld } from './hold-errors.js'
import { awaitLocksSql, type BeginRow, isTrue, withLockHolders } from './hold-switch.js'
import { boundIntervalSql, CLOCK, epochMsSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'

export const HOLDS_TABLE = 'order_timers_holds'

export type HoldState = 'held' | 'releasing' | 'released'

/** What happens to the deadlines when a hold ends: each is moved by its length; the kind stays held for a while longer; nothing. */
export type HoldEnd = 'shift' | 'grace' | 'none'

/** Instants are milliseconds since 1970, by Postgres's clock. */
export interface Hold {
  id: string
  /** Empty for a person's hold. Other owners, such as a bulk run, have separate holds. */
  owner: string
  state: HoldState
  reason: string
  by: string
  since: number
  /** When a sweep releases it, and how; and whether that time has come. */
  until: number | null
  untilOver: boolean | null
  end: HoldEnd | null
  graceMs: number | null
  /** Both are set when the release begins. */
  releasedAt: number | null
  lengthMs: number | null
  /** With a grace: until then the kind stays held. */
  opensAt: number | null
  /** How many orders the release has moved so far. */
  moved: number
}

export interface PlacedHold {
  owner?: string
  reason: string
  by: string
  /** An instant in milliseconds, or a duration from now. */
  until?: { atMs: number } | { inMs: number } | undefined
  end?: HoldEnd | undefined
  graceMs?: number | undefined
}

/** Which hold is released. With an `id` not one that was placed since. */
interface Released {
  owner?: string
  graceMs?: number
  id?: string | null
}

/** Done in the same transaction, such as the record of the act. */
export type Beside<T> = (transaction: Transaction, hold: Hold) => Promise<T>

const COLUMNS = `id::text AS id, owner, state, reason, placed_by AS by, ends_by AS "end", moved::float8 AS moved,
  grace_ms::float8 AS "graceMs", length_ms::float8 AS "lengthMs", ${epochMsSql('since')} AS since, ${epochMsSql('until')} AS until,
  until <= clock_timestamp() AS "untilOver",  ${epochMsSql('released_at')} AS "releasedAt", ${epochMsSql('opens_at')} AS "opensAt"`

/** The holds of one kind. */
export class Holds {
  /** As SQL. */
  readonly table: string

  constructor(
    readonly prefix: string,
    readonly kind: string,
    readonly orders: OrderTable,
  ) {
    this.table = orders.inSameSchema(HOLDS_TABLE)
  }

  get sequelize(): Sequelize {
    return this.orders.sequelize
  }

  /** The SQL of its creation, for a migration: safe to repeat. */
  static createSql(table: string): string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${table} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  prefix text NOT NULL,
  kind text NOT NULL,
  owner text NOT NULL DEFAULT '',
  orders text NOT NULL,
  state text NOT NULL DEFAULT 'held',
  reason text NOT NULL,
  placed_by text NOT NULL,
  since timestamptz NOT NULL,
  until timestamptz,
  ends_by text,
  grace_ms bigint,
  released_at timestamptz,
  length_ms bigint,
  opens_at timestamptz,
  ended_at timestamptz,
  cursor_id text,
  last_id text,
  moved bigint NOT NULL DEFAULT 0
)`,
      `CREATE UNIQUE INDEX IF NOT EXISTS ${HOLDS_TABLE}_standing ON ${table} (prefix, kind, owner) WHERE state <> 'released'`,
      `CREATE INDEX IF NOT EXISTS ${HOLDS_TABLE}_kind ON ${table} (prefix, kind, ended_at)`,
    ]
  }

  /**
   * Commits the hold. Settling transactions that began before may still commit: `awaitSettling` waits for them.
   * @throws OrderTimersError ALREADY_HELD, HOLDS_MISSING; what Postgres throws
   */
  place({ owner = '', reason, by, until, end, graceMs }: PlacedHold, beside?: Beside<unknown>): Promise<Hold> {
    const at = until && ('atMs' in until ? 'to_timestamp($7::float8 / 1000)' : `${CLOCK} + ${boundIntervalSql('$7')}`)
    const untilMs = until && ('atMs' in until ? until.atMs : until.inMs)
    const sql = `INSERT INTO ${this.table} (prefix, kind, owner, orders, reason, placed_by, since, until, ends_by, grace_ms)
VALUES ($1, $2, $3, $4, $5, $6, ${CLOCK}, ${at ?? '$7::timestamptz'}, $8, $9)
ON CONFLICT (prefix, kind, owner) WHERE state <> 'released' DO NOTHING RETURNING ${COLUMNS}`
    const values = [owner, withoutBinding(this.orders.table), clean(reason), clean(by), untilMs ?? null, end ?? null, graceMs ?? null]
    // A hold that opened by itself is over.
    const opened = `UPDATE ${this.table} SET state = 'released', ended_at = opens_at
WHERE prefix = $1 AND kind = $2 AND state = 'releasing' AND opens_at <= clock_timestamp()`
    return this.write(async (transaction) => {
      await this.ask(opened, [], transaction)
      const [hold] = await this.ask<Hold>(sql, values, transaction)
      if (!hold) throw alreadyHeld(this.kind, (await this.read(owner, transaction))[0])
      await beside?.(transaction, hold)
      return hold
    })
  }

  /**
   * Waits until all transactions that settle orders of the kind and began before the hold was committed have ended.
   * @returns the Postgres processes that have not; empty: all have ended
   */
  async awaitSettling(waitMs: number): Promise<number[]> {
    const limits = { lockMs: Math.max(1, Math.round(waitMs)), statementMs: Math.round(waitMs) + 1_000, idleMs: 2_000 }
    try {
      await inTransaction(this.sequelize, limits, (transaction) => rows(this.sequelize, awaitLocksSql(this), undefined, transaction))
      return []
    } catch (error) {
      if (!LOCK_WAIT_ENDED.has(sqlStateOf(error))) throw error
      const asked = await inTransaction(this.sequelize, QUICK_QUESTION, (transaction) =>
        rows<{ pid: number }>(this.sequelize, withLockHolders(this), undefined, transaction),
      )
      return asked.map(({ pid }) => pid)
    }
  }

  /** The present holds, a person's first. Empty if there is no table, or this role may not read it. @throws what Postgres throws */
  standing(within?: Transaction): Promise<Hold[]> {
    return this.ifThere((transaction) => this.read(undefined, transaction), within)
  }

  /** Nothing where there is no table, or this role may not read it. */
  async ifThere<T>(ask: (transaction: Transaction) => Promise<T[]>, within: Transaction | undefined): Promise<T[]> {
    const look = `SELECT has_table_privilege(to_regclass(${this.orders.literal(withoutBinding(this.table))}), 'SELECT') AS order_timers_holds`
    if (within) {
      const [found] = await rows<BeginRow>(this.sequelize, withoutBinding(look), undefined, within)
      return isTrue(found?.order_timers_holds) ? ask(within) : []
    }
    let exists = false
    const begin = {
      statements: [withoutBinding(look)],
      answer: ([found]: readonly BeginRow[]) => {
        exists = isTrue(found?.order_timers_holds)
      },
    }
    const read = (transaction: Transaction) => (exists ? ask(transaction) : Promise.resolve([]))
    return inTransaction(this.sequelize, QUICK_QUESTION, read, { begin })
  }

  /**
   * Begins the release, and sets its instant and the hold's length. A release that has already begun is joined, with its own options. If nothing
   * has to be done first, this ends the hold.
   * @throws OrderTimersError NOT_HELD, HOLDS_MISSING
   */
  beginRelease(end: HoldEnd, { owner = '', graceMs = 0, id = null }: Released, beside?: Beside<unknown>): Promise<Hold> {
    const sql = `UPDATE ${this.table} SET state = CASE WHEN $4 = 'none' THEN 'released' ELSE 'releasing' END, ends_by = $4, released_at = ${CLOCK},
  length_ms = round(extract(epoch FROM ${CLOCK} - since) * 1000), grace_ms = CASE WHEN $4 = 'grace' THEN $5::bigint END,
  opens_at = CASE WHEN $4 = 'grace' THEN ${CLOCK} + ${boundIntervalSql('$5')} END, ended_at = CASE WHEN $4 = 'none' THEN ${CLOCK} END
WHERE prefix = $1 AND kind = $2 AND owner = $3 AND state = 'held' AND ($6::bigint IS NULL OR id = $6) RETURNING ${COLUMNS}`
    return this.write(async (transaction) => {
      const [begun] = await this.ask<Hold>(sql, [owner, end, graceMs, id], transaction)
      const hold = begun ?? (await this.read(owner, transaction))[0]
      if (!hold) throw notHeld(this.kind, (await this.read(undefined, transaction))[0])
      await beside?.(transaction, hold)
      return hold
    })
  }

  /** Ends the hold after the work of the release. A hold that has already ended is not changed. @returns whether this ended it */
  async end({ id }: Pick<Hold, 'id'>, transaction?: Transaction): Promise<boolean> {
    const sql = `UPDATE ${this.table} SET state = 'released', ended_at = ${CLOCK}
WHERE prefix = $1 AND kind = $2 AND id = $3 AND state = 'releasing' RETURNING id`
    const end = async (within: Transaction) => (await this.ask<{ id: string }>(sql, [id], within)).length > 0
    return transaction ? end(transaction) : this.write(end)
  }

  /** @throws OrderTimersError HOLDS_MISSING if the table is missing, or this role may not use it */
  async write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    try {
      return await inTransaction(this.sequelize, ONE_STATEMENT, work)
    } catch (cause) {
      const remedy = remedyOf(sqlStateOf(cause), withoutBinding(this.table))
      if (remedy === undefined) throw cause
      const message = `orderTimers: holds are kept in ${withoutBinding(this.table)}, and ${remedy}`
      throw new OrderTimersError('HOLDS_MISSING', message, { cause })
    }
  }

  private read(owner: string | undefined, transaction: Transaction): Promise<Hold[]> {
    const sql = `SELECT ${COLUMNS} FROM ${this.table} WHERE prefix = $1 AND kind = $2 AND state <> 'released'
  AND ($3::text IS NULL OR owner = $3) AND (opens_at IS NULL OR opens_at > clock_timestamp()) ORDER BY owner, id`
    return this.ask<Hold>(sql, [owner ?? null], transaction)
  }

  /** $1 and $2 are the prefix and the kind. */
  ask<Row>(sql: string, values: readonly unknown[], transaction: Transaction): Promise<Row[]> {
    return rows<Row>(this.sequelize, sql, [this.prefix, this.kind, ...values], transaction)
  }
}

function remedyOf(sqlState: string | undefined, table: string): string | undefined {
  if (sqlState === UNDEFINED_TABLE) return 'that table does not exist; create it with what `order-timers migration` prints'
  if (sqlState === UNDEFINED_COLUMN) return 'it lacks a column; make it again with what `order-timers migration` prints'
  if (sqlState === INSUFFICIENT_PRIVILEGE) return `this role may not use it; GRANT SELECT, INSERT, UPDATE ON ${table} TO that role`
  return undefined
}

/** Postgres text cannot contain NUL. */
function clean(text: string): string {
  return text.replaceAll('\0', '')
}
