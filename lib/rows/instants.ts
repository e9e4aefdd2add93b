// Columns that hold instants must be `timestamp with time zone`. Postgres reads a value without a zone in the zone of each connection, so an order
// would be settled hours too early. Statements refuse other types (instant-sql.ts); this file explains the problem and its remedies.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { QUICK_QUESTION } from '../sequelize/statement-limits.js'
import type { Column } from './columns.js'
import type { OrderTable } from './order-table.js'

export function isInstant({ baseType }: Column): boolean {
  return baseType === 'timestamp with time zone'
}

/**
 * @param option how the rule names the column
 * @param transaction the caller's, which may be the shop's: its connection may be the pool's only one
 * @returns what is wrong with it, and what to do, as text. The changes are comments: each locks and rewrites the table, and only a
 * person can know which of them is right.
 */
export async function notAnInstant(
  table: OrderTable,
  option: string,
  { name, type, baseType, isView }: Column,
  transaction: Transaction,
): Promise<string> {
  const column = `"${name.replaceAll('"', '""')}"`
  const is = type === baseType || type.startsWith('timestamp') ? type : `${type}, a domain over ${baseType}`
  const alter = (using: string) => `ALTER TABLE ${table.tableText} ALTER COLUMN ${column} TYPE timestamptz USING ${using}`
  const { seen, changes } = await readings({ table, column, baseType, alter, transaction })
  return [
    `${option}: the column ${column} of ${table.tableText} must be timestamp with time zone, it is ${is}; each connection would read it in a zone of its own, and orders would be settled too early, so the rule settles nothing until it is changed`,
    ...(isView ? [`${table.tableText} is a view: change the column of the table beneath it, and make the view again`] : []),
    seen,
    ...changes.map((change) => `-- ${change}`),
    '-- Either holds an ACCESS EXCLUSIVE lock (nobody reads or writes the table) while it rewrites the whole table and its indexes',
  ].join('\n')
}

interface Readings {
  /** What the values show. */
  seen: string
  /** The possible meanings, each with the matching change. */
  changes: string[]
}

interface Subject {
  table: OrderTable
  /** Quoted. */
  column: string
  baseType: string
  alter(using: string): string
  transaction: Transaction
}

async function readings({ table, column, baseType, alter, transaction }: Subject): Promise<Readings> {
  if (!/^(?:timestamp|date$)/.test(baseType)) {
    const number = /int|numeric|double|real/.test(baseType)
    const seconds = [
      `if they are seconds since 1970: ${alter(`to_timestamp(${column})`)}`,
      `if they are milliseconds since 1970: ${alter(`to_timestamp(${column} / 1000.0)`)}`,
    ]
    const changes = number ? seconds : [`if each of them names its zone: ${alter(`${column}::timestamptz`)}`]
    return { seen: 'only you can know what its values mean:', changes }
  }
  const { newest, clocks } = await newestBesideNow(table, column, transaction)
  const inZone = (zone: string) => alter(`${baseType === 'date' ? `${column}::timestamp` : column} AT TIME ZONE '${zone}'`)
  const value = newest === null ? 'there is no value yet' : `its newest value is ${newest}`
  const now = clocks.map(({ zone, now }) => `${now} in ${zone}`).join(' and ')
  const changes = clocks.map(({ zone }) => `if they are in ${zone}: ${inZone(zone)}`)
  const elsewhere = `if they are in another zone, that of the services that write them: ${inZone('…')}`
  return {
    seen: `${value}; now it is ${now}; only you can know in which zone the values are:`,
    changes: clocks.length > 1 ? changes : [...changes, elsewhere],
  }
}

interface Clock {
  zone: string
  now: string
}

/** UTC, the server's zone and the zone of these connections, without duplicates. */
const CLOCKS = `SELECT DISTINCT ON (now) zone, now FROM (
  SELECT rank, zone, to_char(clock_timestamp() AT TIME ZONE zone, 'YYYY-MM-DD HH24:MI:SS') AS now
  FROM (VALUES (1, 'UTC'), (2, (SELECT reset_val FROM pg_settings WHERE name = 'TimeZone')), (3, current_setting('TimeZone'))) AS zones (rank, zone)
) AS clocks ORDER BY now, rank`

/** The newest value is that of the last row if ids are numbers, otherwise the greatest, if it is found within a second. */
async function newestBesideNow(
  table: OrderTable,
  column: string,
  transaction: Transaction,
): Promise<{ newest: string | null; clocks: Clock[] }> {
  const clocks = await rows<Clock>(table.sequelize, CLOCKS, [], transaction)
  const value = column.replaceAll('$', '$$$$')
  const last = table.idType.sort === 'number' ? `${table.bareColumn(table.idAttribute)} DESC` : `${value} DESC NULLS LAST`
  const sql = `SELECT ${value}::text AS newest FROM ${table.table} ORDER BY ${last} LIMIT 1`
  return {
    newest: await newestWithin(table, sql, transaction),
    clocks: clocks.sort(({ zone }) => (zone === 'UTC' ? -1 : 1)),
  }
}

const UNDO = 'ROLLBACK TO SAVEPOINT order_timers_newest; RELEASE SAVEPOINT order_timers_newest'

/**
 * Leaves the transaction as it was, including its limits. All of it is one message: otherwise a statement of the shop that runs at the same time on this
 * connection could come between, and be rolled back with it.
 */
async function newestWithin({ sequelize }: OrderTable, sql: string, transaction: Transaction): Promise<string | null> {
  const { lockMs, statementMs } = QUICK_QUESTION
  const limits = `SET LOCAL lock_timeout = ${lockMs}; SET LOCAL statement_timeout = ${statementMs}`
  try {
    const message = `SAVEPOINT order_timers_newest; ${limits}; ${sql}; ${UNDO}`
    const [row] = await rows<{ newest: string | null }>(sequelize, message, [], transaction)
    return row?.newest ?? null
  } catch {
    await rows(sequelize, UNDO, [], transaction)
    return 'not found within a second'
  }
}
