// The optional history: one row for each settlement, each reminder, and each order that a bulk run moves, in the same transaction. The rows make `afterCommit` run at
// least once (until `next_try` is cleared) and reminders at most once (by their unique index).

import type { Sequelize, Transaction } from 'sequelize'
import { OrderTimersError } from '../errors.js'
import { rows, statement } from '../sequelize/database.js'
import { withoutBinding } from '../sequelize/sql.js'
import { allOf } from './conditions.js'
import { boundIntervalSql, epochMsSql, intervalSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'
import { prune } from './prune.js'

export const HISTORY_TABLE = 'order_timers_history'

/** JSONB: the answer, or the operator's decision, by which an order was settled. Only a rule with `verify` needs it. */
export const VERIFIED_COLUMN = 'verified'

/** The path of a row for a bulk run; `reminder` has the run's id, which distinguishes these rows from settlements. */
export const VIA_RUN = 'run'

/** Beyond the rule's timeouts: the grace period before another worker may redeliver. */
const MARGIN_MS = 5_000

/** A delivery that the history records as pending: `afterCommit` has not yet succeeded for this settlement. */
export interface RecordedDelivery {
  /** The history row's id. */
  entry: string
  id: string
  idempotencyKey: string
  attempts: number
}

interface DeliveryRow {
  entry: string
  order_id: string
  attempts: number
  deadline_ms: number | null
}

export class History {
  readonly table: string

  constructor(
    private readonly kind: string,
    private readonly orders: OrderTable,
    /** The time limit of the rule's work. */
    private readonly timeoutMs: number,
  ) {
    this.table = orders.inSameSchema(HISTORY_TABLE)
  }

  /** The SQL of a table's creation, for a migration: safe to repeat. */
  static createSql(table: string): string[] {
    const name = (suffix: string) => `${HISTORY_TABLE}_${suffix}`
    return [
      `CREATE TABLE IF NOT EXISTS ${table} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL,
  order_id text NOT NULL,
  reminder text NOT NULL DEFAULT '',
  from_status text,
  to_status text,
  deadline timestamptz,
  settled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  lateness_ms double precision,
  via text NOT NULL,
  worker text NOT NULL,
  next_try timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  error text
)`,
      `CREATE UNIQUE INDEX IF NOT EXISTS ${name('once')} ON ${table} (kind, order_id, deadline, reminder) WHERE reminder <> ''`,
      `CREATE INDEX IF NOT EXISTS ${name('untold')} ON ${table} (kind, next_try) WHERE next_try IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS ${name('order')} ON ${table} (order_id, kind)`,
    ]
  }

  /**
   * For the settling statement: a row for each of `source`. `$2` is the path, `$3` the worker. Returns what is `RECORDED`.
   * @param proofs under `verify`, the parameter with the proof for each order
   */
  insertSettled(source: string, to: number | string | undefined, afterCommit: boolean, proofs?: string): string {
    const { literal } = this.orders
    // The worker that settles has time to commit and to deliver before another worker may redeliver.
    const tries = afterCommit ? `1, clock_timestamp() + ${intervalSql(2 * this.timeoutMs + MARGIN_MS)}` : '0, NULL'
    const verified = proofs && `, (${proofs}::jsonb -> (order_timers_id::text)) - 'xmin'`
    return `INSERT INTO ${this.table} (kind, order_id, from_status, to_status, deadline, lateness_ms, via, worker, attempts, next_try${verified ? `, ${VERIFIED_COLUMN}` : ''})
SELECT ${literal(this.kind)}, order_timers_id::text, order_timers_from, ${to === undefined ? 'NULL' : literal(String(to))}, order_timers_deadline,
  ${LATENESS}, $2, $3, ${tries}${verified ?? ''} FROM ${source} RETURNING ${RECORDED}`
  }

  /** The same for a reminder, due `beforeMs` before the deadline: a row for each order that has had no reminder for this deadline. */
  insertReminded(source: string, label: string, beforeMs: number): string {
    const { literal } = this.orders
    return `INSERT INTO ${this.table} (kind, order_id, reminder, deadline, lateness_ms, via, worker)
SELECT ${literal(this.kind)}, order_timers_id::text, ${literal(label)}, order_timers_deadline + ${intervalSql(beforeMs)}, ${LATENESS}, $2, $3
FROM ${source} ON CONFLICT (kind, order_id, deadline, reminder) WHERE reminder <> '' DO NOTHING RETURNING ${RECORDED}`
  }

  /** For a portion of a run: a row for each order that it moved, with the deadlines before and after instead of statuses. */
  insertMoved(source: string, run: string, worker: string): string {
    const text = (instant: string) => `to_char(${instant} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
    return `INSERT INTO ${this.table} (kind, order_id, reminder, from_status, to_status, deadline, via, worker)
SELECT ${this.orders.literal(this.kind)}, order_timers_id::text, concat('run ', ${run}::text), ${text('order_timers_before')}, ${text('order_timers_after')},
  order_timers_before, '${VIA_RUN}', ${worker} FROM ${source}`
  }

  /** @throws OrderTimersError NOT_RECORDED if this role may not add to the table, or there is none */
  async requireInsert(transaction: Transaction | null): Promise<void> {
    const name = withoutBinding(this.table)
    const sql = `SELECT has_table_privilege(to_regclass($1), 'INSERT') IS TRUE AS may`
    const [found] = await rows<{ may: boolean }>(this.orders.sequelize, sql, [name], transaction)
    if (found?.may) return
    const remedy = `GRANT INSERT ON ${name} TO it, or create the table with what \`order-timers migration\` prints`
    throw new OrderTimersError(
      'NOT_RECORDED',
      `orderTimers: ${this.kind}: its rule has "history", and this role may not add to ${name}; ${remedy}`,
    )
  }

  /** A condition: the order has had a reminder for this deadline. */
  reminded(label: string, deadline: string): string {
    const { literal, id } = this.orders
    const reminded = 'order_timers_reminded'
    const conditions = [
      `${reminded}.kind = ${literal(this.kind)}`,
      `${reminded}.order_id = ${id}::text`,
      `${reminded}.reminder = ${literal(label)}`,
      `${reminded}.reminder <> ''`, // as in the partial index
      `${reminded}.deadline = ${deadline}`,
    ]
    return `EXISTS (SELECT 1 FROM ${this.table} AS ${reminded} WHERE ${allOf(conditions)})`
  }

  /** How long after the start of a settlement its first delivery may begin, so that it ends before another worker may redeliver. */
  get firstWithinMs(): number {
    return this.timeoutMs + MARGIN_MS
  }

  /** The same for a redelivery, from the time when it was taken. */
  get againWithinMs(): number {
    return MARGIN_MS
  }

  /** Takes one delivery that is overdue, for one attempt: until `next_try` no other worker takes it. */
  async takePendingDelivery(transaction: Transaction): Promise<RecordedDelivery | undefined> {
    const sql = `UPDATE ${this.table} AS h SET attempts = h.attempts + 1, next_try = clock_timestamp() + ${intervalSql(this.timeoutMs + MARGIN_MS)}
WHERE h.id = (SELECT id FROM ${this.table} WHERE kind = $1 AND next_try <= clock_timestamp() ORDER BY next_try LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING h.id::text AS entry, h.order_id, h.attempts, ${epochMsSql('h.deadline')} AS deadline_ms`
    const [found] = await rows<DeliveryRow>(this.orders.sequelize, sql, [this.kind], transaction)
    if (!found) return undefined
    const { entry, order_id, attempts, deadline_ms } = found
    return { entry, id: order_id, attempts, idempotencyKey: idempotencyKey(this.kind, order_id, deadline_ms ?? entry) }
  }

  async markDelivered(entries: readonly string[], transaction?: Transaction): Promise<void> {
    await this.write(`UPDATE ${this.table} SET next_try = NULL, error = NULL WHERE id = ANY($1)`, [entries], transaction)
  }

  /**
   * Changes nothing on an entry that was delivered meanwhile, or that another worker has taken.
   * @param retryMs when the next attempt is due, in milliseconds from now; undefined for none
   * @param attempts the number of the attempt that failed
   */
  async markFailed(
    entries: readonly string[],
    error: string,
    retryMs: number | undefined,
    attempts: number,
    transaction?: Transaction,
  ): Promise<void> {
    const sql = `UPDATE ${this.table} SET error = $2, next_try = clock_timestamp() + ${boundIntervalSql('$3')}
WHERE id = ANY($1) AND attempts = $4 AND next_try IS NOT NULL`
    await this.write(sql, [entries, error, retryMs ?? null, attempts], transaction)
  }

  /**
   * Removes old entries of these rules. Entries with a pending `afterCommit` stay, and a reminder stays until its order's deadline is
   * that old, so that the order is not reminded again.
   * @param table as SQL
   * @returns how many
   */
  static prune(sequelize: Sequelize, table: string, kinds: readonly string[], olderThanMs: number): Promise<number> {
    const condition = (t: string) =>
      allOf([
        `${t}.kind = ANY($3)`,
        `${t}.next_try IS NULL`,
        `(${t}.reminder = '' OR ${t}.via = '${VIA_RUN}' OR ${t}.deadline < clock_timestamp() - ${boundIntervalSql('$2')})`,
      ])
    return prune({ sequelize, table, column: 'settled_at', condition, bound: kinds }, olderThanMs)
  }

  private async write(sql: string, bind: readonly unknown[], transaction: Transaction | undefined): Promise<void> {
    if (transaction) await rows(this.orders.sequelize, sql, bind, transaction)
    else await statement(this.orders.sequelize, sql, bind)
  }
}

/** The same for every delivery of that settlement or reminder. */
export function idempotencyKey(kind: string, orderId: string, deadline: number | string): string {
  return `${kind}:${orderId}:${deadline}`
}

/** The history row's id, and the order's. */
const RECORDED = 'id::text AS order_timers_entry, order_id AS order_timers_recorded'

const LATENESS = 'extract(epoch from clock_timestamp() - order_timers_deadline) * 1000'
