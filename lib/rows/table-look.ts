// Checks a rule's tables: whether the columns and our own tables exist, and whether the instants have a time zone.

import type { Transaction } from 'sequelize'
import { rows } from '../sequelize/database.js'
import { type Column, columnsOf } from './columns.js'
import { HISTORY_TABLE, VERIFIED_COLUMN } from './history.js'
import { isInstant, notAnInstant } from './instants.js'
import type { OrderTable } from './order-table.js'
import { columnOf } from './row-options.js'
import type { SettledRows } from './row-rule.js'

/** A column that a rule needs, by the option that names it. */
interface Need {
  option: string
  attribute: string
  /** For an ALTER TABLE … ADD COLUMN. */
  type: string
  instant?: boolean
  /** The meaning of NULL, if the rule writes it there. */
  emptiedFor?: string
}

export interface TableLook {
  /** What is wrong, as text, each with its remedy. */
  problems: string[]
  /** What else a person should know; the rule works all the same. */
  partial: string[]
  /** All columns with their types, to find out later whether they have changed. */
  columns: string
}

export async function lookAtTables(row: SettledRows, transaction: Transaction): Promise<TableLook> {
  const { table } = row.guard
  const columns = await columnsOf(table, transaction)
  const shape = [...columns.values()].map(({ name, type, baseType }) => `${name} ${type} ${baseType}`).join(', ')
  if (columns.size === 0)
    return {
      columns: shape,
      partial: [],
      problems: [`there is no table ${table.tableText} (yet); create it, or name the right one in the model`],
    }
  const problems: string[] = []
  const needs = needsOf(row)
  for (const need of needs) {
    const problem = await lookAtColumn(table, columns, need, transaction)
    if (problem !== undefined) problems.push(problem)
  }
  const ofReminder = row.deadline.in === 'reminder' // what its rule is told of
  const partial = ofReminder ? [] : needs.flatMap((need) => roundedInstant(table, columns.get(need.attribute), need) ?? [])
  return { columns: shape, partial, problems: [...problems, ...(await missingTables(row, transaction))] }
}

function needsOf({ guard, options, set = {} }: SettledRows): Need[] {
  const { deadline } = options
  const { pause, extensions, backfill } = columnOf(options) ?? {}
  const emptied = Object.entries(set).filter(([, value]) => value === null)
  const needs: (Need | undefined)[] = [
    ...emptied.map(([attribute]) => ({ option: `"set.${attribute}"`, attribute, type: 'text', emptiedFor: 'what "set" says' })),
    guard.statusAttribute === undefined ? undefined : { option: '"status"', attribute: guard.statusAttribute, type: 'integer' },
    deadline.in === 'column'
      ? { option: '"deadline"', attribute: deadline.attribute, type: 'timestamptz', instant: true, emptiedFor: '"no timer"' }
      : undefined,
    deadline.in === 'since' ? { option: '"since"', attribute: deadline.attribute, type: 'timestamptz', instant: true } : undefined,
    pause && { option: '"pause.keep"', attribute: pause.keep, type: 'bigint', emptiedFor: '"not paused"' },
    extensions && {
      option: '"extended"',
      attribute: extensions.attribute,
      type: extensions.unit === 'ms' ? 'bigint' : 'integer',
      emptiedFor: '"not extended"',
    },
    backfill?.since === undefined
      ? undefined
      : { option: '"backfill.since"', attribute: backfill.since, type: 'timestamptz', instant: true },
  ]
  return needs.filter((need) => need !== undefined)
}

async function lookAtColumn(
  table: OrderTable,
  columns: Map<string, Column>,
  { option, attribute, type, instant, emptiedFor }: Need,
  transaction: Transaction,
): Promise<string | undefined> {
  const { field } = table.attribute(option, attribute)
  const column = columns.get(attribute)
  if (!column)
    return `the table ${table.tableText} has no column "${field}"; add it with ALTER TABLE ${table.tableText} ADD COLUMN "${field}" ${type}`
  if (emptiedFor !== undefined && column.isRequired)
    return `${option}: the column "${field}" of ${table.tableText} is NOT NULL, and NULL is written there for ${emptiedFor}; ALTER TABLE ${table.tableText} ALTER COLUMN "${field}" DROP NOT NULL`
  return instant && !isInstant(column) ? notAnInstant(table, option, column, transaction) : undefined
}

/** Fewer digits of a second than Dates have. Other frameworks make timestamptz(0), and an instant that is rounded down comes too early. */
function roundedInstant({ tableText }: OrderTable, column: Column | undefined, { option, instant }: Need): string | undefined {
  const digits = instant && column && /^timestamp\(([0-2])\) with time zone$/.exec(column.type)?.[1]
  if (!digits || !column) return undefined
  const name = `"${column.name.replaceAll('"', '""')}"`
  const why = `Postgres rounds what is written there, and an order may be settled up to ${500 / 10 ** Number(digits)} ms early`
  const alter = `ALTER TABLE ${tableText} ALTER COLUMN ${name} TYPE timestamptz(3)`
  return `${option}: the column ${name} of ${tableText} is ${column.type}: ${why}; ${column.isView ? 'change the table beneath the view' : alter}`
}

const MIGRATE = 'create it with what `order-timers migration` prints'

/** Our own tables that do not exist. */
async function missingTables({ guard, options, brake, verification }: SettledRows, transaction: Transaction): Promise<string[]> {
  const history = options.history ? guard.table.inSameSchema(HISTORY_TABLE) : undefined
  const names = [history, brake?.table, verification?.unverified.table].filter((name) => name !== undefined)
  if (names.length === 0) return []
  const sql = 'SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL'
  const missing = await rows<{ name: string }>(
    guard.table.sequelize,
    sql,
    [names.map((name) => name.replaceAll('$$', () => '$'))],
    transaction,
  )
  const problems = missing.map(({ name }) => `there is no table ${name}; ${MIGRATE}`)
  if (!verification || history === undefined || problems.length > 0) return problems
  const column = 'SELECT 1 AS found FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped'
  const found = await rows(guard.table.sequelize, column, [history.replaceAll('$$', () => '$'), VERIFIED_COLUMN], transaction)
  return found.length > 0 ? [] : [`the table ${history} has no column "${VERIFIED_COLUMN}", which "verify" needs; ${MIGRATE}`]
}
