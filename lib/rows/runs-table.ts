// The table of runs: changes to the deadlines of many orders of a rule, carried out portion by portion. A run's row has its progress; the
// row and the portion commit together, so a run that was killed resumes without moving an order twice. A migration creates the table.

import type { Sequelize, Transaction } from 'sequelize'
import { OrderTimersError } from '../errors.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { sqlStateOf } from '../sequelize/fault-owner.js'
import { withoutBinding } from '../sequelize/sql.js'
import { INSUFFICIENT_PRIVILEGE, UNDEFINED_COLUMN, UNDEFINED_TABLE } from '../sequelize/sqlstates.js'
import { QUESTION } from '../sequelize/statement-limits.js'
import { epochMsSql, instantOfMsSql, wholeMsSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'
import type { RunWhere } from './run-where.js'

export const RUNS_TABLE = 'order_timers_runs'

/** The owner of the hold that a run has on its kind. */
export const RUN_OWNER = 'run'

export type RunAction = 'extendAll' | 'scheduleAll' | 'cancelAll'

/** What a run does, as its row keeps it. */
export interface RunTask {
  action: RunAction
  where: RunWhere
  /** For `extendAll`, milliseconds. */
  byMs: number | null
  /** For `scheduleAll`: the deadline, milliseconds since 1970. */
  atMs: number | null
  /** For `scheduleAll`: from the run's start to the deadline, milliseconds. */
  afterMs: number | null
  /** For `scheduleAll`: also orders that have a deadline. */
  overwrite: boolean
}

export interface Run extends RunTask {
  id: string
  kind: string
  /** By Postgres's clock, milliseconds since 1970. */
  startedAt: number
  /** The planned number of orders at its start. */
  planned: number
  moved: number
  /** How many rows were locked when their portion was moved; they are tried again at the end. */
  skipped: number
  actor: string
  reason: string | undefined
  /** The process that carries it out, or last did. */
  process: string
  /** How long ago a process last reported that it carries it out, milliseconds. */
  silentMs: number
  /** The id of its entry in the table of actions. */
  record: string | null
}

/** The initial values of a run. */
export interface NewRun extends RunTask {
  kind: string
  planned: number
  /** The greatest id: later orders are not in the run. Null if there is none. */
  lastId: string | null
  actor: string
  reason: string | undefined
  process: string
  record: string | null
}

/** The progress of a run; the portion that is being moved has locked it. */
export interface RunPlace {
  cursor: string | null
  lastId: string | null
  skipped: string[]
}

export class RunsTable {
  /** As SQL. */
  readonly name: string
  readonly sequelize: Sequelize

  /** @param orders a table of orders; that of runs is in the same schema */
  constructor(
    orders: OrderTable,
    private readonly prefix: string,
  ) {
    this.name = orders.inSameSchema(RUNS_TABLE)
    this.sequelize = orders.sequelize
  }

  /** The SQL of its creation, for a migration: safe to repeat. */
  static createSql(table: string): string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${table} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  prefix text NOT NULL,
  kind text NOT NULL,
  action text NOT NULL,
  conditions jsonb NOT NULL,
  by_ms double precision,
  at timestamptz,
  after_ms double precision,
  overwrite boolean NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_id text,
  cursor text,
  planned integer NOT NULL,
  moved integer NOT NULL DEFAULT 0,
  skipped text[] NOT NULL DEFAULT '{}',
  state text NOT NULL DEFAULT 'running',
  actor text NOT NULL,
  reason text,
  process text NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  record bigint
)`,
      `CREATE UNIQUE INDEX IF NOT EXISTS ${RUNS_TABLE}_running ON ${table} (prefix, kind) WHERE state = 'running'`,
    ]
  }

  /**
   * @returns undefined if another run of the kind has not ended
   * @throws OrderTimersError NOT_RECORDED if the table is missing or may not be used
   */
  async begin(run: NewRun, transaction: Transaction): Promise<Run | undefined> {
    const { kind, action, where, byMs, atMs, afterMs, overwrite, planned, lastId, actor, reason, process, record } = run
    const sql = `INSERT INTO ${this.name} (prefix, kind, action, conditions, by_ms, at, after_ms, overwrite, planned, last_id, actor, reason,
  process, record, started_at)
VALUES ($1, $2, $3, $4::jsonb, $5, ${instantOfMsSql('$6')}, $7, $8, $9, $10, $11, $12, $13, $14, ${wholeMsSql('clock_timestamp()')})
ON CONFLICT DO NOTHING RETURNING ${RUN}`
    const task = [JSON.stringify(where), byMs, atMs, afterMs, overwrite]
    const bind = [this.prefix, kind, action, ...task, planned, lastId, actor, reason ?? null, process, record]
    const [begun] = await this.coded(() => rows<StoredRun>(this.sequelize, sql, bind, transaction))
    return begun && runOf(begun)
  }

  /** Those that have not ended, of this prefix. @throws OrderTimersError NOT_RECORDED */
  unfinished(kind?: string, within?: Transaction): Promise<Run[]> {
    const sql = `SELECT ${RUN} FROM ${this.name} WHERE prefix = $1 AND state = 'running' AND ($2::text IS NULL OR kind = $2) ORDER BY id`
    const read = async (transaction: Transaction) =>
      (await rows<StoredRun>(this.sequelize, sql, [this.prefix, kind ?? null], transaction)).map(runOf)
    return this.coded(() => (within ? read(within) : inTransaction(this.sequelize, QUESTION, read)))
  }

  /** Whether one is recorded as unfinished; not where the table is missing. @throws OrderTimersError NOT_RECORDED */
  async hasUnfinished(kind: string, within: Transaction): Promise<boolean> {
    const sql = 'SELECT to_regclass($1) IS NOT NULL AS "isThere"'
    const [found] = await rows<{ isThere: boolean }>(this.sequelize, sql, [withoutBinding(this.name)], within)
    return found?.isThere === true && (await this.unfinished(kind, within)).length > 0
  }

  /** The same, and none if the table is missing or may not be read. */
  async unfinishedIfAny(kind?: string): Promise<Run[]> {
    const sql = `SELECT coalesce(has_table_privilege(to_regclass($1), 'SELECT'), FALSE) AS readable`
    const [found] = await inTransaction(this.sequelize, QUESTION, (transaction) =>
      rows<{ readable: boolean }>(this.sequelize, sql, [withoutBinding(this.name)], transaction),
    )
    return found?.readable ? this.unfinished(kind) : []
  }

  /** Locks the run's row until the transaction ends, so that no portion is moved by two processes. @returns undefined if it has ended */
  async lock(id: string, transaction: Transaction): Promise<RunPlace | undefined> {
    const sql = `SELECT cursor, last_id AS "lastId", to_json(skipped)::text AS skipped FROM ${this.name} WHERE id = $1 AND state = 'running' FOR UPDATE`
    type Row = { cursor: string | null; lastId: string | null; skipped: string }
    const [row] = await rows<Row>(this.sequelize, sql, [id], transaction)
    return row && { ...row, skipped: JSON.parse(row.skipped) }
  }

  async moved(
    id: string,
    { cursor, skipped }: Omit<RunPlace, 'lastId'>,
    moved: number,
    by: string,
    transaction: Transaction,
  ): Promise<void> {
    const sql = `UPDATE ${this.name} SET cursor = $2, skipped = $3::text[], moved = moved + $4, process = $5, moved_at = clock_timestamp() WHERE id = $1`
    await rows(this.sequelize, sql, [id, cursor, skipped, moved, by], transaction)
  }

  /** Reports that a process carries it out. A portion that has locked the run's row shows that too. */
  async beat(id: string, by: string): Promise<void> {
    const sql = `UPDATE ${this.name} SET process = $2, moved_at = clock_timestamp()
WHERE id = (SELECT id FROM ${this.name} WHERE id = $1 AND state = 'running' FOR UPDATE SKIP LOCKED)`
    await inTransaction(this.sequelize, QUESTION, (transaction) => rows(this.sequelize, sql, [id, by], transaction))
  }

  /** @returns the run; undefined if it had ended already */
  async end(id: string, state: 'done' | 'abandoned', transaction: Transaction): Promise<Run | undefined> {
    const sql = `UPDATE ${this.name} SET state = $2, ended_at = clock_timestamp() WHERE id = $1 AND state = 'running' RETURNING ${RUN}`
    const [ended] = await rows<StoredRun>(this.sequelize, sql, [id, state], transaction)
    return ended && runOf(ended)
  }

  /** On an explaining transaction: whether this role may write the progress of a run. @throws OrderTimersError NOT_RECORDED; what Postgres throws */
  explain(transaction: Transaction): Promise<void> {
    return this.coded(async () => {
      await this.moved('0', { cursor: null, skipped: [] }, 0, '', transaction)
      await this.end('0', 'done', transaction)
    })
  }

  private async coded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      const remedy = remedyOf(sqlStateOf(cause), withoutBinding(this.name))
      if (remedy === undefined) throw cause
      throw new OrderTimersError('NOT_RECORDED', `orderTimers: runs are recorded in ${withoutBinding(this.name)}, and ${remedy}`, { cause })
    }
  }
}

function remedyOf(sqlState: string | undefined, table: string): string | undefined {
  if (sqlState === UNDEFINED_TABLE) return 'that table does not exist; create it with what `order-timers migration` prints'
  if (sqlState === UNDEFINED_COLUMN) return 'it lacks a column; make it again with what `order-timers migration` prints'
  if (sqlState === INSUFFICIENT_PRIVILEGE) return `this role may not use it; GRANT SELECT, INSERT, UPDATE ON ${table} TO that role`
  return undefined
}

const RUN = `id::text AS id, kind, action, conditions::text AS conditions, by_ms, ${epochMsSql('at')} AS at_ms, after_ms, overwrite,
  ${epochMsSql('started_at')} AS started_ms, planned, moved, cardinality(skipped) AS skipped, actor, reason,
  process, ${epochMsSql('clock_timestamp()')} - ${epochMsSql('moved_at')} AS silent_ms, record::text AS record`

interface StoredRun
  extends Pick<Run, 'id' | 'kind' | 'action' | 'overwrite' | 'planned' | 'moved' | 'skipped' | 'actor' | 'process' | 'record'> {
  conditions: string
  by_ms: number | null
  at_ms: number | null
  after_ms: number | null
  started_ms: number
  silent_ms: number
  reason: string | null
}

function runOf({ conditions, by_ms, at_ms, after_ms, started_ms, silent_ms, reason, ...row }: StoredRun): Run {
  const task = { where: JSON.parse(conditions) as RunWhere, byMs: by_ms, atMs: at_ms, afterMs: after_ms }
  return { ...row, ...task, startedAt: started_ms, silentMs: Math.max(0, silent_ms), reason: reason ?? undefined }
}
