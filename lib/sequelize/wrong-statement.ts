// What to do about a statement that Postgres cannot run, by its error.

import { sqlStateOf } from './fault-owner.js'
import {
  DATATYPE_MISMATCH,
  INSUFFICIENT_PRIVILEGE,
  INVALID_SCHEMA_NAME,
  NUMERIC_VALUE_OUT_OF_RANGE,
  STRING_DATA_RIGHT_TRUNCATION,
  UNDEFINED_COLUMN,
  UNDEFINED_FUNCTION,
  UNDEFINED_TABLE,
} from './sqlstates.js'

/** @param table the orders' table as SQL, for the rights that it needs */
export function remedyOf(error: unknown, table = 'the table'): string {
  const state = sqlStateOf(error) ?? ''
  const message = (error as Partial<Error> | undefined)?.message ?? ''
  if (state === INSUFFICIENT_PRIVILEGE) return grantFor(message, table)
  const missing = /invalid input value for enum (\S+): "([\s\S]*)"/.exec(message)
  if (missing) return `ALTER TYPE ${missing[1]} ADD VALUE '${(missing[2] as string).replaceAll("'", "''")}'`
  return REMEDIES[state] ?? 'change the option, or the table, so that they fit'
}

/** By SQLSTATE. */
const REMEDIES: Readonly<Record<string, string>> = {
  [UNDEFINED_TABLE]: 'create what is missing (`order-timers migration` prints what the rules need), or name the right table',
  [UNDEFINED_COLUMN]: 'name a column that is there, or add it (`order-timers migration` prints what the rules need)',
  [UNDEFINED_FUNCTION]: 'compare and call what fits the types of the columns, or cast it',
  [DATATYPE_MISMATCH]: 'write a value of the type of the column, or cast it',
  [INVALID_SCHEMA_NAME]: 'create the schema, or name the right one',
  [STRING_DATA_RIGHT_TRUNCATION]: 'write a value that is as short as the column allows, or widen the column',
  [NUMERIC_VALUE_OUT_OF_RANGE]: 'write a value that the type of the column can hold, or widen the column',
}

/** The rights on our own tables: actions are never changed, and old processes are removed. */
const OWN_TABLES: Readonly<Record<string, string>> = {
  order_timers_actions: 'SELECT, INSERT',
  order_timers_processes: 'SELECT, INSERT, UPDATE, DELETE',
}

/** The missing right, and the GRANT. */
function grantFor(message: string, table: string): string {
  const [, sort = 'table', name = table] = /permission denied for (\w+) (\S+)/.exec(message) ?? []
  const isOwn = table.replaceAll('"', '').split('.').at(-1) === name.replaceAll('"', '')
  const rights: Record<string, string> = {
    schema: `USAGE ON SCHEMA ${name}`,
    function: `EXECUTE ON FUNCTION ${name}`,
    sequence: `USAGE ON SEQUENCE ${name}`,
    type: `USAGE ON TYPE ${name}`,
  }
  const ofOwn = OWN_TABLES[name] ?? (/^order_timers_/.test(name) ? 'SELECT, INSERT, UPDATE' : 'SELECT')
  const onTable = isOwn ? `SELECT, UPDATE ON ${table}` : `${ofOwn} ON ${name}`
  return `let the user that the shop connects as do it: GRANT ${rights[sort] ?? onTable} TO …`
}
