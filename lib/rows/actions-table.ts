// The table of actions: what operators did to orders, and the outcome. Entries are never changed: an action on rows has one entry, written in its
// own transaction; an action on Redis has one from before (`asked`), and one that ends it (`done` or `failed`). A migration creates the table.

import type { Sequelize, Transaction } from 'sequelize'
import { OrderTimersError } from '../errors.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { withoutBinding } from '../sequelize/sql.js'
import { INSUFFICIENT_PRIVILEGE, UNDEFINED_COLUMN, UNDEFINED_TABLE } from '../sequelize/sqlstates.js'
import { QUICK_QUESTION } from '../sequelize/statement-limits.js'
import { allOf } from './conditions.js'
import { epochMsSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'
import { prune } from './prune.js'

export const ACTIONS_TABLE = 'order_timers_actions'

/** Longer texts are cut. */
const LONGEST_TEXT = 500

/** `ready`: this role may record. `no right`: it may not write, or not read. */
export type ActionsTableState = 'ready' | 'no table' | 'no right'

export type ActionState = 'asked' | 'done' | 'failed'

/** The outcome for one order. Deadlines are milliseconds since 1970, null for none; undefined if they are not known. */
export interface RecordedOrder {
  id: string
  /** Left out if the act has not ended. */
  outcome?: string
  code?: string
  before?: number | null
  after?: number | null
}

export interface ActionEntry {
  action: string
  kind: string
  /** Who. */
  actor: string
  via: string
  reason: string | undefined
  state: ActionState
  /** The entry that this one ends. */
  ends?: string
  /** The number of orders on which it was, or will be, carried out. */
  count: number
  orders: readonly RecordedOrder[]
  error?: string
}

/** An action in a list: its first entry, with the result of its last one. */
export interface ListedAction extends Omit<ActionEntry, 'ends' | 'error'> {
  id: string
  at: number
  /** Null: the first entry ended it, or it has not ended. */
  endedAt: number | null
  error: string | undefined
}

export interface ActionsQuery {
  kind?: string | undefined
  /** Only actions on this order. */
  order?: string | undefined
  action?: string | undefined
  /** Only actions before the one with this id. */
  before?: string | undefined
  limit: number
}

export class ActionsTable {
  /** As SQL. */
  readonly name: string
  readonly sequelize: Sequelize

  /** @param orders a table of orders; that of actions is in the same schema */
  constructor(
    orders: OrderTable,
    private readonly prefix: string,
  ) {
    this.name = orders.inSameSchema(ACTIONS_TABLE)
    this.sequelize = orders.sequelize
  }

  /** The SQL of its creation, for a migration: safe to repeat. */
  static createSql(table: string): string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${table} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  prefix text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  action text NOT NULL,
  kind text NOT NULL,
  actor text NOT NULL,
  via text NOT NULL,
  reason text,
  state text NOT NULL,
  ends bigint,
  count integer NOT NULL,
  order_ids text[] NOT NULL,
  orders jsonb NOT NULL,
  error text
)`,
      `CREATE INDEX IF NOT EXISTS ${ACTIONS_TABLE}_ends ON ${table} (ends) WHERE ends IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS ${ACTIONS_TABLE}_orders ON ${table} USING gin (order_ids)`,
    ]
  }

  /** Whether this role may record here. @throws what Postgres or the connection to it throws */
  state(): Promise<ActionsTableState> {
    const may = (right: string) => `has_table_privilege(to_regclass($1), '${right}')`
    const sql = `SELECT to_regclass($1) IS NOT NULL AS exists, ${may('SELECT')} AND ${may('INSERT')} AS may`
    return inTransaction(this.sequelize, QUICK_QUESTION, async (transaction) => {
      const bind = [withoutBinding(this.name)]
      const [found] = await rows<{ exists: boolean; may: boolean | null }>(this.sequelize, sql, bind, transaction)
      if (!found?.exists) return 'no table'
      return found.may ? 'ready' : 'no right'
    })
  }

  /**
   * @returns the entry's id
   * @throws OrderTimersError NOT_RECORDED if the table is missing, or this role may not add to it
   */
  async record(entry: ActionEntry, transaction: Transaction): Promise<string> {
    const { action, kind, actor, via, reason, state, ends, count, orders, error } = entry
    const sql = `INSERT INTO ${this.name} (prefix, action, kind, actor, via, reason, state, ends, count, order_ids, orders, error)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text[], $11::jsonb, $12) RETURNING id::text AS id`
    const texts = [text(actor), via, reason === undefined ? null : text(reason), state]
    const ids = orders.map(({ id }) => id)
    const ended = [ends ?? null, count, ids, JSON.stringify(orders), error === undefined ? null : text(error)]
    const bind = [this.prefix, action, kind, ...texts, ...ended]
    return this.coded(async () => (await rows<{ id: string }>(this.sequelize, sql, bind, transaction))[0]?.id as string)
  }

  /** Newest first. @throws OrderTimersError NOT_RECORDED if the table is missing, or may not be read */
  async list({ kind, order, action, before, limit }: ActionsQuery): Promise<ListedAction[]> {
    const bind: unknown[] = [this.prefix, limit]
    const bound = (value: unknown) => `$${bind.push(value)}`
    const conditions = [
      'a.prefix = $1',
      'a.ends IS NULL',
      kind === undefined ? undefined : `a.kind = ${bound(kind)}`,
      action === undefined ? undefined : `a.action = ${bound(action)}`,
      order === undefined ? undefined : `a.order_ids @> ARRAY[${bound(order)}::text]`,
      before === undefined ? undefined : `a.id < ${bound(before)}::bigint`,
    ]
    const sql = `SELECT a.id::text AS id, ${epochMsSql('a.at')} AS at_ms, a.action, a.kind, a.actor, a.via, a.reason,
  coalesce(e.state, a.state) AS state, coalesce(e.count, a.count) AS count, coalesce(e.orders, a.orders)::text AS orders_text,
  coalesce(e.error, a.error) AS error, ${epochMsSql('e.at')} AS ended_ms
FROM ${this.name} AS a LEFT JOIN ${this.name} AS e ON e.ends = a.id
WHERE ${allOf(conditions)} ORDER BY a.id DESC LIMIT $2`
    const read = (transaction: Transaction) => rows<StoredAction>(this.sequelize, sql, bind, transaction)
    const found = await this.coded(() => inTransaction(this.sequelize, QUICK_QUESTION, read))
    return found.map(({ at_ms, ended_ms, orders_text, reason, error, ...row }) => ({
      ...row,
      ...{ at: at_ms, endedAt: ended_ms, orders: JSON.parse(orders_text), reason: reason ?? undefined, error: error ?? undefined },
    }))
  }

  /** Removes entries that are older, of this prefix. @returns how many */
  prune(olderThanMs: number): Promise<number> {
    const { name: table, sequelize, prefix: bound } = this
    const condition = (t: string) => `${t}.prefix = $3`
    return this.coded(() => prune({ sequelize, table, column: 'at', condition, bound }, olderThanMs))
  }

  private async coded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      const remedy = remedyOf(sqlStateOf(cause), withoutBinding(this.name))
      if (remedy === undefined) throw cause
      throw new OrderTimersError('NOT_RECORDED', `orderTimers: actions are recorded in ${withoutBinding(this.name)}, and ${remedy}`, {
        cause,
      })
    }
  }
}

function remedyOf(sqlState: string | undefined, table: string): string | undefined {
  if (sqlState === UNDEFINED_TABLE) return 'that table does not exist; create it with what `order-timers migration` prints'
  if (sqlState === UNDEFINED_COLUMN) return 'it lacks a column; make it again with what `order-timers migration` prints'
  if (sqlState === INSUFFICIENT_PRIVILEGE) return `this role may not use it; GRANT SELECT, INSERT ON ${table} TO that role`
  return undefined
}

/** Postgres text cannot contain NUL. */
function text(given: string): string {
  return given.replaceAll('\0', '').slice(0, LONGEST_TEXT)
}

interface StoredAction extends Pick<ListedAction, 'id' | 'action' | 'kind' | 'actor' | 'via' | 'state' | 'count'> {
  at_ms: number
  ended_ms: number | null
  orders_text: string
  reason: string | null
  error: string | null
}
