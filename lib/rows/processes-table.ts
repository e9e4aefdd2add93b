// The optional table of processes, for when Redis does not answer or is not used: each process writes its row once a minute. A migration
// creates it. Without it, or without the rights, nothing is written, and the rules still work.

import { createHash } from 'node:crypto'
import type { Sequelize, Transaction } from 'sequelize'
import { ClockEstimate } from '../clock-estimate.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { withoutBinding } from '../sequelize/sql.js'
import { QUESTION } from '../sequelize/statement-limits.js'
import { boundIntervalSql, epochMsSql } from './instant-sql.js'
import type { OrderTable } from './order-table.js'

export const PROCESSES_TABLE = 'order_timers_processes'

/** The version of the row's content: from 2 on the process respects holds. */
const LAYOUT = 2

/** `written`: the process has its row there. `no table`: the migration is missing. `no right`: this role may not write, or not read. */
export type ProcessesTableState = 'written' | 'no table' | 'no right'

/** A process's row. */
export interface ProcessRow {
  id: string
  host: string
  pid: number
  version: string
  role: 'worker' | 'web'
  startedAt: number
  redis: string | null
  redisData: string | null
  rules: Record<string, string>
  holds?: boolean
}

/** A row as it was read: when it was last written by Postgres's clock, how long ago that is, and the minimum by which the process's clock was ahead. */
export interface SeenRow extends ProcessRow {
  beatAt: number
  ageMs: number
  clockMs: number
}

export interface TableBeat {
  state: ProcessesTableState
  /** For each requested order table: the same for all processes that use this table of this running server. */
  identities: Map<string, string>
  /** Undefined if they may not be read. */
  processes: SeenRow[] | undefined
}

interface Rights {
  exists: boolean
  reads: boolean | null
  writes: boolean | null
  removes: boolean | null
}

/** The minimum by which this process's clock is ahead of Postgres's, milliseconds; a difference that the round trip can explain counts as 0. */
interface Asked extends Rights {
  aheadMs: number
}

export class ProcessesTable {
  /** As SQL. */
  readonly name: string
  private readonly sequelize: Sequelize

  /** @param orders a table of orders; that of processes is in the same schema */
  constructor(orders: OrderTable) {
    this.name = orders.inSameSchema(PROCESSES_TABLE)
    this.sequelize = orders.sequelize
  }

  /** The SQL of its creation, for a migration: safe to repeat. */
  static createSql(table: string): string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${table} (
  id text PRIMARY KEY,
  prefix text NOT NULL,
  layout integer NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  version text NOT NULL,
  role text NOT NULL,
  started_at timestamptz NOT NULL,
  beat_at timestamptz NOT NULL,
  own_clock timestamptz NOT NULL,
  redis text,
  redis_data text,
  rules text NOT NULL
)`,
    ]
  }

  /**
   * Writes the process's row, if possible, and reads those of the others, in one transaction.
   * @param row undefined: only reads
   * @param orderTables tables of orders, as SQL, whose identities are requested
   * @throws what Postgres or the connection to it throws
   */
  beat(prefix: string, row: ProcessRow | undefined, orderTables: readonly string[]): Promise<TableBeat> {
    return inTransaction(this.sequelize, QUESTION, async (transaction) => {
      const identities = await this.identities(orderTables, transaction)
      const { exists, reads, writes, removes, aheadMs } = await this.rights(transaction)
      if (!exists) return { state: 'no table', identities, processes: undefined }
      if (row && reads && writes) await this.write(prefix, row, aheadMs, transaction)
      if (row?.role === 'worker' && removes) await this.removeOld(transaction)
      const processes = reads ? await this.read(prefix, transaction) : undefined
      return { state: reads && (writes || !row) ? 'written' : 'no right', identities, processes }
    })
  }

  /** The process ends normally. @throws what Postgres or the connection to it throws */
  async leave(id: string): Promise<void> {
    await inTransaction(this.sequelize, QUESTION, async (transaction) => {
      const { exists, removes } = await this.rights(transaction)
      if (exists && removes) await rows(this.sequelize, `DELETE FROM ${this.name} WHERE id = $1`, [id], transaction)
    })
  }

  /** Checked first, since a failing statement would appear in the shop's Postgres log each minute. */
  private async rights(transaction: Transaction): Promise<Asked> {
    const may = (right: string) => `has_table_privilege(to_regclass($1), '${right}')`
    const sql = `SELECT to_regclass($1) IS NOT NULL AS exists, ${may('SELECT')} AS reads,
  ${may('INSERT')} AND ${may('UPDATE')} AS writes, ${may('DELETE')} AS removes, ${epochMsSql('clock_timestamp()')} AS now`
    const clock = new ClockEstimate()
    const askedAt = performance.now()
    const [found] = await rows<Rights & { now: number }>(this.sequelize, sql, [withoutBinding(this.name)], transaction)
    const { now, ...rights } = found as Rights & { now: number }
    clock.note(now, askedAt, performance.now())
    return { ...rights, aheadMs: clock.leastAhead(Date.now()) ?? 0 }
  }

  /** A copy of a server, such as one restored from a snapshot, has the same system identifier, so the time of its start counts too. */
  private async identities(orderTables: readonly string[], transaction: Transaction): Promise<Map<string, string>> {
    const server = `${epochMsSql('pg_postmaster_start_time()')}::bigint, (SELECT oid FROM pg_database WHERE datname = current_database())`
    const sql = `SELECT place, concat_ws(' ', ${server}, to_regclass(name)::oid) AS identity
FROM unnest($1::text[]) WITH ORDINALITY AS named (name, place) WHERE to_regclass(name) IS NOT NULL`
    const bind = [orderTables.map(withoutBinding)]
    const found = await rows<{ place: string | number; identity: string }>(this.sequelize, sql, bind, transaction)
    return new Map(found.map(({ place, identity }) => [orderTables[Number(place) - 1] as string, shortHash(identity)]))
  }

  private async write(prefix: string, row: ProcessRow, aheadMs: number, transaction: Transaction): Promise<void> {
    const { id, host, pid, version, role, startedAt, redis, redisData, rules } = row
    const instant = (parameter: string) => `to_timestamp(${parameter}::float8 / 1000)`
    const sql = `INSERT INTO ${this.name}
  (id, prefix, layout, host, pid, version, role, started_at, own_clock, redis, redis_data, rules, beat_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, ${instant('$8')}, clock_timestamp() + ${boundIntervalSql('$9')}, $10, $11, $12, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET role = EXCLUDED.role, own_clock = EXCLUDED.own_clock, redis = EXCLUDED.redis,
  redis_data = EXCLUDED.redis_data, rules = EXCLUDED.rules, beat_at = EXCLUDED.beat_at`
    const values = [id, prefix, LAYOUT, host, pid, version, role, startedAt, aheadMs, redis, redisData, JSON.stringify(rules)]
    await rows(this.sequelize, sql, values, transaction)
  }

  private async removeOld(transaction: Transaction): Promise<void> {
    await rows(this.sequelize, `DELETE FROM ${this.name} WHERE beat_at < clock_timestamp() - interval '1 day'`, undefined, transaction)
  }

  private async read(prefix: string, transaction: Transaction): Promise<SeenRow[]> {
    const now = 'clock_timestamp()'
    const sql = `SELECT id, host, pid, version, role, redis, redis_data, rules, layout >= 2 AS holds, ${epochMsSql('started_at')} AS started_ms,
  ${epochMsSql('beat_at')} AS beat_ms, greatest(0, ${epochMsSql(now)} - ${epochMsSql('beat_at')}) AS age_ms,
  ${epochMsSql('own_clock')} - ${epochMsSql('beat_at')} AS clock_ms
FROM ${this.name} WHERE prefix = $1 AND beat_at BETWEEN ${now} - interval '1 hour' AND ${now} + interval '1 minute'`
    const found = await rows<StoredRow>(this.sequelize, sql, [prefix], transaction)
    return found.map(({ redis_data, rules, started_ms, beat_ms, age_ms, clock_ms, ...row }) => ({
      ...row,
      ...{
        redisData: redis_data,
        rules: parsed(rules),
        startedAt: started_ms,
        beatAt: beat_ms,
        ageMs: age_ms,
        clockMs: Math.round(clock_ms),
      },
    }))
  }
}

/** @returns an empty value if it is not JSON; the reader ignores such rows */
function parsed(rules: string): ProcessRow['rules'] {
  try {
    return JSON.parse(rules)
  } catch {
    return null as never
  }
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}

interface StoredRow extends Omit<ProcessRow, 'startedAt' | 'redisData' | 'rules'> {
  redis_data: string | null
  rules: string
  started_ms: number
  beat_ms: number
  age_ms: number
  clock_ms: number
}
