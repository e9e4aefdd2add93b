// A trigger that lets Postgres write the instant from which a rule with `since` counts, so that no process's clock matters.

import type { Sequelize } from 'sequelize'
import { statement } from '../../sequelize/database.js'

const NAME = 'order_timers_written_now'

/** @param table as SQL. @returns statements */
export function createdByPostgres(table: string, field: string): string[] {
  const column = `"${field.replaceAll('"', '""')}"`
  const name = `"${nameOf(field)}"`
  return [
    `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.${column} := clock_timestamp(); RETURN NEW; END $$`,
    `CREATE TRIGGER ${name} BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${name}()`,
  ]
}

/** Whether that trigger is there. */
export async function writtenByDatabase(sequelize: Sequelize, table: string, field: string): Promise<boolean> {
  const sql = `SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname = $2 AND tgenabled <> 'D'`
  return (await statement(sequelize, sql, [table, nameOf(field)])).length > 0
}

function nameOf(field: string): string {
  return `${NAME}_${field}`.slice(0, 60).replaceAll('"', '_')
}
