// Postgres's clock, which a fault can move: functions of the run's schema that stand before the built-in ones on the search_path and add
// what a setting says. A reload of the configuration changes it in every session at once. pg_catalog's functions tell the true time.

import type { ClientBase } from 'pg'

const SETTING = 'chaos.clock_ms'
const CLOCKS = ['now', 'clock_timestamp', 'statement_timestamp', 'transaction_timestamp']

export async function installMovedClock(client: ClientBase, schema: string): Promise<void> {
  const offset = `coalesce(nullif(current_setting('${SETTING}', true), ''), '0')::double precision * interval '1 ms'`
  for (const name of CLOCKS) {
    // Plain SQL, so that Postgres inlines it.
    await client.query(
      `CREATE FUNCTION ${schema}.${name}() RETURNS timestamptz LANGUAGE sql ${name === 'clock_timestamp' ? 'VOLATILE' : 'STABLE'}
AS $$ SELECT pg_catalog.${name}() + ${offset} $$`,
    )
  }
}

/** Milliseconds by which the clock is off from now on. */
export async function movePostgresClock(client: ClientBase, byMs: number): Promise<void> {
  await client.query(`ALTER SYSTEM SET ${SETTING} = '${byMs}'`)
  await client.query('SELECT pg_reload_conf()')
}

/** What the clock of a new session is off by. */
export async function postgresClockOffset(client: ClientBase): Promise<number> {
  const sql = 'SELECT (extract(epoch FROM clock_timestamp() - pg_catalog.clock_timestamp()) * 1000)::float8 AS off'
  return (await client.query<{ off: number }>(sql)).rows[0]!.off
}
