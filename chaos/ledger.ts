// The ledger: triggers that write down every insert, update and delete of the shop's rows, in the same transaction. Nothing of the package writes
// it. And the effects, which the rules' `run` writes, in the settling transaction.

import type { ClientBase } from 'pg'
import type { Change, Effect, Row } from './history.js'
import { TABLES } from './tables.js'

// Unqualified, clock_timestamp() is the product's clock: a fault may move it by a function of the schema. pg_catalog's is never moved. The
// function has no search_path of its own, since the session's decides which clock that is.
export const ledgerSql = (schema: string) => `
  CREATE TABLE ${schema}.effects (kind text NOT NULL, order_id text NOT NULL, txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    true_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), changed_by text NOT NULL DEFAULT current_setting('application_name'));
  CREATE TABLE ${schema}.ledger (n bigserial PRIMARY KEY, table_name text NOT NULL, order_id text NOT NULL, op text NOT NULL, txid xid8 NOT NULL,
    at timestamptz NOT NULL, true_at timestamptz NOT NULL, changed_by text NOT NULL, was json, is_now json, wish int);
  CREATE FUNCTION ${schema}.log_change() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF TG_OP = 'UPDATE' THEN
      INSERT INTO ${schema}.ledger (table_name, order_id, op, txid, at, true_at, changed_by, was, is_now, wish)
      VALUES (TG_TABLE_NAME, NEW.id, 'update', pg_current_xact_id(), clock_timestamp(), pg_catalog.clock_timestamp(),
        current_setting('application_name'), row_to_json(OLD), row_to_json(NEW), nullif(NEW.wish, OLD.wish));
    ELSIF TG_OP = 'INSERT' THEN
      INSERT INTO ${schema}.ledger (table_name, order_id, op, txid, at, true_at, changed_by, is_now, wish)
      VALUES (TG_TABLE_NAME, NEW.id, 'insert', pg_current_xact_id(), clock_timestamp(), pg_catalog.clock_timestamp(),
        current_setting('application_name'), row_to_json(NEW), NEW.wish);
    ELSE
      INSERT INTO ${schema}.ledger (table_name, order_id, op, txid, at, true_at, changed_by, was)
      VALUES (TG_TABLE_NAME, OLD.id, 'delete', pg_current_xact_id(), clock_timestamp(), pg_catalog.clock_timestamp(),
        current_setting('application_name'), row_to_json(OLD));
    END IF;
    RETURN NULL;
  END $$;
  ${TABLES.map(
    (table) => `
  CREATE TRIGGER log_written AFTER INSERT OR DELETE ON ${schema}.${table} FOR EACH ROW EXECUTE FUNCTION ${schema}.log_change();
  CREATE TRIGGER log_change AFTER UPDATE ON ${schema}.${table} FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION ${schema}.log_change();`,
  ).join('')}`

const INSTANTS = new Set(
  [
    'confirmDueAt',
    'packDueAt',
    'pickupDueAt',
    'arriveAt',
    'closeAt',
    'endsAt',
    'claimBy',
    'issuedAt',
    'expiresAt',
    'voidAt',
    'purgeAt',
  ].concat(['billAt', 'lapseAt', 'trialAt', 'createdAt', 'updatedAt', 'deletedAt']),
)
/** Rows are read in portions: a run's ledger has several hundred thousand lines. */
const PORTION = 20_000

interface LedgerRow {
  n: string
  table: string
  id: string
  op: Change['op']
  txid: string
  at: number
  trueAt: number
  by: string
  was: Record<string, unknown> | null
  is_now: Record<string, unknown> | null
  wish: number | null
}

/** Every change of every row, in order. */
export async function readLedger(client: ClientBase): Promise<Change[]> {
  const changes: Change[] = []
  let last = '0'
  for (;;) {
    const { rows } = await client.query<LedgerRow>(
      `SELECT n, table_name AS "table", order_id AS id, op, txid::text, ${epochMs('at')} AS at, ${epochMs('true_at')} AS "trueAt", changed_by AS by,
         was, is_now, wish FROM ledger WHERE n > $1 ORDER BY n LIMIT ${PORTION}`,
      [last],
    )
    for (const { n, was, is_now, wish, ...same } of rows)
      changes.push({ ...same, n: Number(n), from: toRow(was), to: toRow(is_now), ...(wish !== null && { wish }) })
    if (rows.length < PORTION) return changes
    last = rows.at(-1)?.n as string
  }
}

export async function readEffects(client: ClientBase): Promise<Effect[]> {
  const { rows } = await client.query<Effect>(
    `SELECT kind, order_id AS id, txid::text, ${epochMs('true_at')} AS at, changed_by AS by FROM effects`,
  )
  return rows
}

export function epochMs(instant: string): string {
  return `(extract(epoch FROM ${instant}) * 1000)::float8`
}

export function toRow(json: Record<string, unknown> | null): Row | null {
  if (json === null) return null
  const row: Row = {}
  for (const [column, value] of Object.entries(json))
    if (value !== null) row[column] = INSTANTS.has(column) ? Date.parse(value as string) : (value as string | number | boolean)
  return row
}
