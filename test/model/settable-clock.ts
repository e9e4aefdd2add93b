// A clock of Postgres's that can be set while everything runs: functions of the test's schema stand before the built-in ones for
// connections with this search_path, and read how far the clock is off from a table.

import type { Database } from '../support/database.js'

export class SettableClock {
  private mostMs = 0

  private constructor(private readonly database: Database) {}

  static async install(database: Database): Promise<SettableClock> {
    const { client, schema } = database
    await client.query('CREATE TABLE clock (off interval NOT NULL); INSERT INTO clock VALUES (interval $$0$$)')
    for (const [name, volatility] of [
      ['now', 'STABLE'],
      ['clock_timestamp', 'VOLATILE'],
    ]) {
      await client.query(
        `CREATE FUNCTION ${schema}.${name}() RETURNS timestamptz LANGUAGE sql ${volatility} AS $$ SELECT pg_catalog.${name}() + off FROM ${schema}.clock $$`,
      )
    }
    const clock = new SettableClock(database)
    await client.query(`ALTER FUNCTION log_change() SET search_path = ${clock.searchPath}`)
    return clock
  }

  get searchPath(): string {
    return `${this.database.schema}, pg_catalog`
  }

  /** Between two transactions on orders, so that none has one time in its guard and another in the ledger. */
  async set(offMs: number): Promise<void> {
    await this.database.client.query(`BEGIN; LOCK TABLE orders IN SHARE MODE; UPDATE clock SET off = interval '${offMs} ms'; COMMIT`)
    this.mostMs = Math.max(this.mostMs, offMs)
  }

  /** The latest time, in milliseconds since 1970, that it may have shown until now. */
  async latest(): Promise<number> {
    const now = 'SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::float8 AS now'
    const { rows } = await this.database.client.query<{ now: number }>(now)
    return (rows[0]?.now as number) + this.mostMs
  }
}
