// The ledger of brakes: a trigger writes down every change of the package's own table of brakes, in the same transaction.

import type { ClientBase } from 'pg'
import { BRAKE_TABLE } from '../../lib/rows/brake.js'
import type { BrakeChange, BrakeRow } from './run.js'

/** To be run once the package's tables are there. Both clocks are as in the ledger of the shop's rows. */
export const brakeLedgerSql = (schema: string) => `
  CREATE TABLE ${schema}.brake_ledger (n bigserial PRIMARY KEY, kind text NOT NULL, txid xid8 NOT NULL, at timestamptz NOT NULL,
    true_at timestamptz NOT NULL, changed_by text NOT NULL, was jsonb, is_now jsonb NOT NULL);
  CREATE FUNCTION ${schema}.log_brake() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO ${schema}.brake_ledger (kind, txid, at, true_at, changed_by, was, is_now)
    VALUES (NEW.kind, pg_current_xact_id(), clock_timestamp(), pg_catalog.clock_timestamp(), current_setting('application_name'),
      CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(OLD) END, to_jsonb(NEW));
    RETURN NULL;
  END $$;
  CREATE TRIGGER log_brake AFTER INSERT OR UPDATE ON ${schema}.${BRAKE_TABLE} FOR EACH ROW EXECUTE FUNCTION ${schema}.log_brake();`

interface Line extends Omit<BrakeChange, 'n' | 'from' | 'to'> {
  n: string
  was: Kept | null
  is_now: Kept
}

interface Kept {
  since: string
  settled: number
  braked_at: string | null
}

export async function readBrakes(client: ClientBase): Promise<BrakeChange[]> {
  const { rows } = await client.query<Line>(
    `SELECT n, kind, txid::text, (extract(epoch FROM at) * 1000)::float8 AS at, (extract(epoch FROM true_at) * 1000)::float8 AS "trueAt",
       changed_by AS by, was, is_now FROM brake_ledger ORDER BY n`,
  )
  return rows.map(({ n, was, is_now, ...same }) => ({ ...same, n: Number(n), from: was && rowOf(was), to: rowOf(is_now) }))
}

function rowOf({ since, settled, braked_at }: Kept): BrakeRow {
  return { since: Date.parse(since), settled, braked: braked_at !== null }
}
