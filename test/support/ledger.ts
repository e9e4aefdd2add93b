// The oracle: a trigger on the orders table that logs each change of status with the deadline as it was before, by Postgres's clock, and
// who made it (the connection's application_name). The code under test can't write it. Lost, early and twice are computed from it alone.

import type { ClientBase, Pool } from 'pg'

/** A connection, or a pool of one. */
type Queries = Pick<Pool | ClientBase, 'query'>

export interface Change {
  id: string
  from: number
  to: number
  /** The deadline on the row before the change. */
  deadline: Date | null
  at: Date
  by: string
  latenessMs: number | null
}

export interface LedgerOptions {
  /** The deadline as SQL over `OLD`. Default: the column confirmDueAt. */
  deadline?: string
}

const CHANGES = `
  SELECT order_id AS id, from_status AS "from", to_status AS "to", deadline, at, changed_by AS by,
         (extract(epoch FROM at - deadline) * 1000)::float8 AS "latenessMs"
    FROM ledger`

/** Who changes an order by hand, in tests and in the chaos run: the application_name that is not the worker's. */
export const BY_HAND = 'by hand'

export class Ledger {
  private constructor(private readonly client: Queries) {}

  /** Lays the trigger on the table `orders` that the client's search_path finds first. */
  static async install(client: Queries, options: LedgerOptions = {}): Promise<Ledger> {
    await client.query(Ledger.sql(options))
    return new Ledger(client)
  }

  /** What `install` does, as statements. */
  static sql(options: LedgerOptions = {}): string {
    return `
      CREATE TABLE ledger (n bigserial PRIMARY KEY, order_id text NOT NULL, from_status int NOT NULL, to_status int NOT NULL,
        deadline timestamptz, at timestamptz NOT NULL, changed_by text NOT NULL);
      CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
      BEGIN
        INSERT INTO ledger (order_id, from_status, to_status, deadline, at, changed_by)
        VALUES (OLD.id, OLD.status, NEW.status, ${options.deadline ?? 'OLD."confirmDueAt"'}, clock_timestamp(), current_setting('application_name'));
        RETURN NULL;
      END $$;
      CREATE TRIGGER log_change AFTER UPDATE ON orders FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION log_change()`
  }

  /** A ledger that was installed before, read over another connection. */
  static on(client: Queries): Ledger {
    return new Ledger(client)
  }

  /** Every change of status, in order; of one order if given. */
  async changes(id?: number | string): Promise<Change[]> {
    return this.read(`${CHANGES} WHERE $1::text IS NULL OR order_id = $1 ORDER BY n`, [id === undefined ? null : String(id)])
  }

  /** Orders moved by a worker before the deadline that was on their row, or without one. */
  async early(): Promise<Change[]> {
    return this.read(`${CHANGES} WHERE changed_by <> $1 AND (deadline IS NULL OR at < deadline) ORDER BY n`, [BY_HAND])
  }

  /** Orders that a worker moved twice from one status for one deadline. */
  async twice(): Promise<{ id: string; from: number; times: number }[]> {
    return this.read(
      `SELECT order_id AS id, from_status AS "from", count(*)::int AS times FROM ledger
        WHERE changed_by <> $1 GROUP BY order_id, from_status, deadline HAVING count(*) > 1`,
      [BY_HAND],
    )
  }

  /** Orders still in a status with a deadline that passed longer ago than this. */
  async lost(from: number, overdueMs: number, deadline = '"confirmDueAt"'): Promise<{ id: string; deadline: Date }[]> {
    return this.read(
      `SELECT id::text, ${deadline} AS deadline FROM orders
        WHERE status = $1 AND ${deadline} < clock_timestamp() - $2 * interval '1 ms' ORDER BY ${deadline}`,
      [from, overdueMs],
    )
  }

  /** Milliseconds from the deadline to the settling statement, for every order that a worker moved, smallest first. */
  async lateness(): Promise<number[]> {
    const changes = await this.read<Change>(`${CHANGES} WHERE changed_by <> $1 AND deadline IS NOT NULL`, [BY_HAND])
    return changes.map((change) => change.latenessMs as number).sort((a, b) => a - b)
  }

  private async read<Row>(sql: string, values: unknown[]): Promise<Row[]> {
    return (await this.client.query(sql, values)).rows as Row[]
  }
}
