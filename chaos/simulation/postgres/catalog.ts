// What the catalog says of the model's tables, for the statements that Sequelize and the package ask. test/simulation/ holds the answers against
// a real server.

import type { Table, Transaction } from './tables.js'
import { cast, SqlError, type Type, type Value } from './values.js'

interface Answer {
  columns: { name: string; type: Type }[]
  rows: Value[][]
}

const TYPES: Partial<Record<Type, string>> = {
  int4: 'integer',
  timestamptz: 'timestamp with time zone',
  text: 'character varying',
  int8: 'bigint',
}

const text = (...names: string[]): Answer['columns'] => names.map((name) => ({ name, type: 'text' as const }))
const bool = (...names: string[]): Answer['columns'] => names.map((name) => ({ name, type: 'bool' as const }))

/**
 * @param running the transaction of this id, if it runs
 * @param clock microseconds since 1970
 * @returns undefined where the statement does not ask the catalog
 */
export function catalogAnswer(
  sql: string,
  params: readonly (string | null)[],
  tables: ReadonlyMap<string, Table>,
  running: (xid: string) => Transaction | undefined,
  clock: number,
): Answer | undefined {
  const table = tables.get((params[0] ?? '').replaceAll('"', ''))
  if (/^EXPLAIN /.test(sql)) return { columns: text('QUERY PLAN'), rows: [['Result']] }
  if (/^SHOW SERVER_VERSION/i.test(sql)) return { columns: text('server_version'), rows: [['18.4']] }
  if (/^WITH ranges AS/.test(sql))
    return { columns: text('typname', 'typtype', 'oid', 'typarray', 'rngtypname', 'rngtypid', 'rngtyparray'), rows: [] }
  if (/FROM pg_attribute a JOIN pg_class c/.test(sql) && table)
    return { columns: [...text('name', 'type'), ...bool('isView', 'isRequired'), ...text('baseType')], rows: attributes(table) }
  if (/^SELECT row_security_active\(/.test(sql)) return { columns: bool('hides'), rows: [[false]] }
  if (/FROM pg_constraint c/.test(sql))
    return { columns: text('name', 'column', 'type', 'table', 'key', 'optional', 'required', 'condition'), rows: [] }
  if (/ AS exists, has_table_privilege\(/.test(sql))
    return {
      columns: [...bool('exists', 'reads', 'writes', 'removes'), { name: 'now', type: 'float8' }],
      rows: [[false, null, null, null, Math.ceil(Math.round(clock) / 1000)]],
    }
  if (/pg_postmaster_start_time/.test(sql)) {
    const names = cast(params[0] ?? null, 'unknown', 'array') as string[]
    return { columns: [{ name: 'place', type: 'int8' }, ...text('identity')], rows: names.map((name, i) => [i + 1, `1 5 ${name}`]) }
  }
  if (/^SELECT l\.transactionid/.test(sql)) {
    const found = (cast(params[0] ?? null, 'unknown', 'array') as string[]).flatMap((xid) => running(xid) ?? [])
    const rows = found.map(({ id, application }) => [String(id), 1, application, 'shop', '', 'shop', 1])
    const columns = [...text('xid'), { name: 'pid', type: 'int4' as const }, ...text('application', 'user', 'query', 'role')]
    return { columns: [...columns, { name: 'age', type: 'float8' }], rows }
  }
  // Here no lock is shared, so what was no transaction that runs was one that has ended meanwhile.
  if (/pg_get_multixact_members/.test(sql))
    throw new SqlError('XX000', `MultiXactId ${params[0]} has not been created yet -- apparent wraparound`)
  return undefined
}

function attributes(table: Table): Value[][] {
  return table.columns.map(({ name, type, required }) => {
    const shown = TYPES[type] ?? type
    return [name, name === 'note' ? `${shown}(255)` : shown, false, required === true, shown]
  })
}
