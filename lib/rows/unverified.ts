// The table of orders for which `verify` has not answered `true`: when each is asked about again, and the last answer. A row exists from the first
// such answer until the order is settled or no longer due. An operator's decision to settle an order unverified is stored here too.

import type { Model, Transaction } from 'sequelize'
import { inTransaction, orderRows, rows } from '../sequelize/database.js'
import { ONE_STATEMENT } from '../sequelize/statement-limits.js'
import { CAP } from './cap.js'
import { allOf } from './conditions.js'
import type { RowGuard } from './guard.js'
import { type HoldPlace, HoldSwitch } from './hold-switch.js'
import { epochMsSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'
import type { AgainKey, AskableOrder, DueAgain, NotedAnswer, UnverifiedOrder, UnverifiedSummary } from './unverified-orders.js'

export const UNVERIFIED_TABLE = 'order_timers_unverified'

/** How long to wait if something else holds an order back. */
const HELD_MS = 60_000

interface FoundOrder {
  order_timers_id: string
  order_timers_xmin: string
  order_timers_deadline_ms: number | null
  order_timers_times: number
  order_timers_falses: number
  order_timers_wait_ms: number | null
  order_timers_waived: string | null
  order_timers_row: string | null
  [column: string]: unknown
}

interface StillDue {
  id: string
  free: boolean
  deadline: number
}

export class Unverified {
  readonly table: string
  private readonly kindSql: string
  private readonly holdSwitch: HoldSwitch

  constructor(
    private readonly kind: string,
    private readonly orders: OrderTable,
    holds: HoldPlace,
  ) {
    this.holdSwitch = new HoldSwitch(holds)
    this.table = orders.inSameSchema(UNVERIFIED_TABLE)
    this.kindSql = orders.literal(kind)
  }

  /** The SQL of the table's creation, for a migration: safe to repeat. */
  static createSql(table: string): string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${table} (
  kind text NOT NULL,
  order_id text NOT NULL,
  next timestamptz NOT NULL,
  times integer NOT NULL DEFAULT 0,
  falses integer NOT NULL DEFAULT 0,
  since timestamptz NOT NULL DEFAULT now(),
  answer text,
  error text,
  reference text,
  row_xmin text NOT NULL,
  waived json,
  PRIMARY KEY (kind, order_id)
)`,
      `CREATE INDEX IF NOT EXISTS ${UNVERIFIED_TABLE}_next ON ${table} (kind, next)`,
      `CREATE INDEX IF NOT EXISTS ${UNVERIFIED_TABLE}_since ON ${table} (kind, since)`,
    ]
  }

  /** When an order began to wait, as an expression over its row; NULL if it does not wait. */
  get sinceSql(): string {
    return `(SELECT order_timers_u.since FROM ${this.table} AS order_timers_u WHERE ${this.isOf('order_timers_u')})`
  }

  /** A condition on an order's row: it was never asked about. */
  get neverAskedSql(): string {
    return `NOT EXISTS (SELECT 1 FROM ${this.table} AS order_timers_u WHERE ${this.isOf('order_timers_u')})`
  }

  /** A condition on an order's row: it waits until it is asked about again. If nobody has asked for a minute after that time, it does not count as waiting. */
  get waitsSql(): string {
    const isAhead = "order_timers_u.next > now() - interval '1 minute'"
    return `EXISTS (SELECT 1 FROM ${this.table} AS order_timers_u WHERE ${this.isOf('order_timers_u')} AND ${isAhead})`
  }

  /** For the settling statement: the orders of `source` no longer wait. */
  removeSql(source: string): string {
    return `DELETE FROM ${this.table} AS order_timers_u USING ${source}
WHERE order_timers_u.kind = ${this.kindSql} AND order_timers_u.order_id = ${source}.order_timers_id::text`
  }

  /** The orders that would be settled now; none while the kind is held. */
  async lookUnlessHeld(guard: RowGuard, ids: readonly string[]): Promise<AskableOrder[]> {
    const { sequelize } = this.orders
    return this.holdSwitch.within<AskableOrder[]>(
      (begin, look) => inTransaction(sequelize, ONE_STATEMENT, look, { begin }),
      async (transaction, onHold) => (onHold ? [] : this.look(guard, ids, transaction)),
    )
  }

  /** The orders that would be settled now, according to their rows. */
  async look(guard: RowGuard, ids: readonly string[], transaction: Transaction): Promise<AskableOrder[]> {
    const { table } = guard
    const sql = `SELECT ${table.alias}.*, ${table.id}::text AS order_timers_id, ${table.alias}.xmin::text AS order_timers_xmin,
  ${epochMsSql(guard.deadlineSql)} AS order_timers_deadline_ms, coalesce(order_timers_asked, 0) AS order_timers_times,
  coalesce(order_timers_falses, 0) AS order_timers_falses, order_timers_waived, order_timers_row,
  CASE WHEN order_timers_row = ${table.alias}.xmin::text
    THEN extract(epoch from order_timers_next - clock_timestamp())::float8 * 1000 END AS order_timers_wait_ms
FROM ${table.aliased} LEFT JOIN (SELECT order_id AS order_timers_order, times AS order_timers_asked, falses AS order_timers_falses,
  next AS order_timers_next, row_xmin AS order_timers_row, waived::text AS order_timers_waived FROM ${this.table} WHERE kind = ${this.kindSql}
) AS order_timers_u ON order_timers_order = ${table.id}::text
WHERE ${table.id} = ANY($1) AND ${guard.settlesSql}`
    const found = await orderRows<FoundOrder>(table.sequelize, sql, [ids], transaction)
    return found.map((row) => askableOrder(row, table.instance(row)))
  }

  /** Stores when these are asked about again. An operator's decision that came in the meantime stays valid. */
  async note(answers: readonly NotedAnswer[], within?: Transaction): Promise<void> {
    const sql = `INSERT INTO ${this.table} AS u (kind, order_id, next, times, falses, answer, error, reference, row_xmin)
SELECT ${this.kindSql}, a.id, clock_timestamp() + a."waitMs" * interval '1 millisecond', 1, (a.answer IS NOT DISTINCT FROM 'false')::int, a.answer, a.error,
  a.reference, a.xmin
FROM json_to_recordset($1::json) AS a (id text, "waitMs" float8, answer text, error text, reference text, xmin text) ORDER BY a.id
ON CONFLICT (kind, order_id) DO UPDATE SET next = excluded.next, times = u.times + 1, answer = excluded.answer, error = excluded.error,
  falses = CASE excluded.falses WHEN 0 THEN 0 ELSE u.falses + 1 END, reference = coalesce(excluded.reference, u.reference),
  row_xmin = excluded.row_xmin, waived = NULL
WHERE u.waived IS NULL OR u.row_xmin = ANY($2)`
    const voidWords = answers.flatMap(({ voidWord }) => voidWord ?? [])
    await this.run(sql, [JSON.stringify(answers), voidWords], within)
  }

  /**
   * The orders to ask about again now, the longest due first. Those that are no longer due are removed, and those that something else holds
   * back are postponed by a minute.
   * @param after the last of the previous page: one that cannot be settled must not keep back those after it
   * @returns `nextMs`: the time until the next one; undefined if there is none
   */
  dueAgain(guard: RowGuard, limit: number, after?: AgainKey, within?: Transaction): Promise<DueAgain> {
    const work = async (transaction: Transaction) => {
      const { sequelize } = this.orders
      const read = `SELECT order_id AS id, next::text AS next FROM ${this.table}
WHERE kind = $1 AND next <= clock_timestamp() AND (next, order_id) > ($3::timestamptz, $4) ORDER BY next, order_id LIMIT $2`
      const bind = [this.kind, limit, after?.next ?? '-infinity', after?.id ?? '']
      const page = await rows<AgainKey>(sequelize, read, bind, transaction)
      const found = page.map(({ id }) => id)
      const due = found.length === 0 && !within ? new Map<string, StillDue>() : await this.stillDue(guard, found, transaction)
      const [ids, others] = [found.filter((id) => due.get(id)?.free), found.filter((id) => !due.get(id)?.free)]
      if (others.length > 0 || within) await this.putOff(others, [...due.keys()], transaction)
      const next = `SELECT extract(epoch from min(next) - clock_timestamp())::float8 * 1000 AS ms FROM ${this.table} WHERE kind = $1`
      const [first] = await rows<{ ms: number | null }>(sequelize, next, [this.kind], transaction)
      return { ids, deadlines: ids.map((id) => due.get(id)?.deadline as number), nextMs: first?.ms ?? undefined, last: page.at(-1) }
    }
    return within ? work(within) : inTransaction(this.orders.sequelize, ONE_STATEMENT, work)
  }

  /** An operator's decision: these orders are settled unverified, unless somebody writes their rows before that. */
  async waive(ids: readonly string[], word: { by: string; reason: string }, transaction: Transaction): Promise<void> {
    const { sequelize, alias, id, aliased } = this.orders
    const sql = `INSERT INTO ${this.table} (kind, order_id, next, row_xmin, waived)
SELECT ${this.kindSql}, ${id}::text, now(), ${alias}.xmin::text, json_build_object('at', now(), 'by', $2::text, 'reason', $3::text)
FROM ${aliased} WHERE ${id} = ANY($1)
ON CONFLICT (kind, order_id) DO UPDATE SET next = excluded.next, row_xmin = excluded.row_xmin, waived = excluded.waived`
    await rows(sequelize, sql, [ids, word.by, word.reason], transaction)
  }

  /** One order; undefined if it does not wait. */
  async of(id: string, within?: Transaction): Promise<UnverifiedOrder | undefined> {
    const sql = `SELECT next, times, since, answer, error, reference FROM ${this.table} WHERE kind = $1 AND order_id = $2`
    const [found] = await this.run<UnverifiedOrder>(sql, [this.kind, id], within)
    return found && { ...found, next: new Date(found.next), since: new Date(found.since) }
  }

  /** Reads the first that wait, up to the cap, however many there are. */
  async summary(within?: Transaction): Promise<UnverifiedSummary> {
    const all = `FROM ${this.table} WHERE kind = $1`
    const sql = `SELECT count(*)::int AS count, min(since) AS since, (SELECT min(next) ${all}) AS next,
  (count(*) FILTER (WHERE falses >= 3))::int AS refused, (array_agg(order_id ORDER BY since) FILTER (WHERE falses >= 3))[1] AS "refusedId",
  (array_agg(error ORDER BY next DESC) FILTER (WHERE error IS NOT NULL))[1] AS "lastError"
FROM (SELECT order_id, since, next, falses, error ${all} ORDER BY since LIMIT ${CAP + 1}) AS first`
    const [found] = await this.run<UnverifiedSummary>(sql, [this.kind], within)
    const date = (value: unknown) => (value === null || value === undefined ? null : new Date(value as string))
    const { count = 0, since, next, refused = 0, refusedId = null, lastError = null } = found ?? {}
    return { count, since: date(since), next: date(next), refused, refusedId, lastError }
  }

  /** Of these, the orders that are due, and whether nothing else holds them back. */
  private async stillDue(guard: RowGuard, ids: string[], transaction: Transaction): Promise<Map<string, StillDue>> {
    const { table, appliesSql, notDeletedSql } = guard
    const where = allOf([`${table.id} = ANY($1)`, appliesSql, notDeletedSql, guard.deadlineIs('<=', 'now()')])
    const sql = `SELECT ${table.id}::text AS id, (${guard.settlesSql}) AS free, ${epochMsSql(guard.deadlineSql)} AS deadline FROM ${table.aliased} WHERE ${where}`
    const found = await rows<StillDue>(table.sequelize, sql, [ids], transaction)
    return new Map(found.map((due) => [due.id, due]))
  }

  private async putOff(ids: readonly string[], due: readonly string[], transaction: Transaction): Promise<void> {
    const { sequelize } = this.orders
    const bind = [this.kind, ids.filter((id) => !due.includes(id))]
    await rows(
      sequelize,
      `DELETE FROM ${this.table} WHERE kind = $1 AND order_id = ANY($2) AND next <= clock_timestamp()`,
      bind,
      transaction,
    )
    const later = `UPDATE ${this.table} SET next = clock_timestamp() + interval '${HELD_MS} milliseconds' WHERE kind = $1 AND order_id = ANY($2)`
    await rows(sequelize, later, [this.kind, ids.filter((id) => due.includes(id))], transaction)
  }

  private isOf(alias: string): string {
    return `${alias}.kind = ${this.kindSql} AND ${alias}.order_id = ${this.orders.id}::text`
  }

  private run<Row>(sql: string, bind: unknown[], within: Transaction | undefined): Promise<Row[]> {
    const { sequelize } = this.orders
    const ask = (transaction: Transaction) => rows<Row>(sequelize, sql, bind, transaction)
    return within ? ask(within) : inTransaction(sequelize, ONE_STATEMENT, ask)
  }
}

function askableOrder(row: FoundOrder, order: Model): AskableOrder {
  const { order_timers_wait_ms: waitMs, order_timers_waived: word } = row
  const isVoid = waitMs === null
  return {
    id: String(row.order_timers_id),
    order,
    xmin: row.order_timers_xmin,
    deadlineMs: row.order_timers_deadline_ms,
    times: Number(row.order_timers_times),
    falses: Number(row.order_timers_falses),
    waitMs: Math.max(0, Math.ceil(Number(waitMs ?? 0))),
    waived: word === null || isVoid ? undefined : JSON.parse(word),
    voidWord: word !== null && isVoid ? (row.order_timers_row ?? undefined) : undefined,
  }
}
