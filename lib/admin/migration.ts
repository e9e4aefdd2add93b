// What the declared rules need of the database and an old shop does not have: columns, indexes, and the tables of history and brakes. Only
// put together here, from the rules alone; nothing is asked of Postgres, and nothing is run.

import { createHash } from 'node:crypto'
import { OrderTimersError } from '../errors.js'
import { Brake } from '../rules/brake.js'
import { History } from '../rules/history.js'
import type { OrderTable } from '../rules/order-table.js'
import type { BoundRule, RowRule } from '../rules/rule.js'
import { withoutBinding } from '../rules/sequelize-sql.js'
import { TRIGGER, triggerSql } from '../rules/trigger.js'
import type { Runtime } from '../runtime.js'

/** Statements, each harmless to repeat, without semicolons at their ends. */
export interface Migration {
  /** The rules that it is for. */
  kinds: string[]
  up: string[]
  /** Takes back what `up` made, and what was written there with it. */
  down: string[]
}

export interface MigrationOptions {
  /** For these rules alone. Default: all. */
  kinds?: readonly string[] | undefined
  /** Also the trigger that does what `auto` does, for every writer. */
  trigger?: boolean
}

/** The longest name that Postgres keeps whole, in bytes. */
const LONGEST_NAME = 63

/**
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_MODEL, INVALID_STATUS; INVALID_OPTION where the rules lie in several databases, or for the trigger
 * where `after` is a function
 */
export function migration(runtime: Runtime, { kinds = runtime.kinds, trigger = false }: MigrationOptions = {}): Migration {
  const rules = kinds.map((kind) => runtime.rule(kind))
  refuseSeveralDatabases(rules)
  const needs = rules.flatMap(({ row }) => (row ? needsOf(row) : []))
  return {
    kinds: rules.map(({ kind }) => kind),
    up: [...unique(needs.flatMap(({ up }) => up)), ...(trigger ? triggerSql(rules) : [])],
    down: [...(trigger ? dropTriggerSql(rules) : []), ...unique(needs.flatMap(({ down }) => down)).reverse()],
  }
}

interface Need {
  up: string[]
  down: string[]
}

function needsOf(row: RowRule): Need[] {
  const { guard, options, history, brake } = row
  const { table } = guard
  const needs: Need[] = []
  if (options.deadline !== undefined) needs.push(column(table, options.deadline, 'timestamptz'))
  if (options.pause) needs.push(column(table, options.pause.keep, 'bigint'))
  if (options.extensions) needs.push(column(table, options.extensions.attribute, options.extensions.unit === 'ms' ? 'bigint' : 'integer'))
  if (options.deadline !== undefined) {
    const field = withoutBinding(table.bareColumn(options.deadline))
    needs.push(
      index(table, [fieldOf(table, options.deadline), 'due'], [options.deadline, table.idAttribute], ` WHERE ${field} IS NOT NULL`),
    )
  }
  if (options.since !== undefined) {
    const columns = [...(guard.statusAttribute ? [guard.statusAttribute] : []), options.since]
    needs.push(
      index(
        table,
        columns.map((name) => fieldOf(table, name)),
        columns,
      ),
    )
  }
  if (history) needs.push(ownTable(withoutBinding(history.table), History.createSql(withoutBinding(history.table))))
  if (brake) needs.push(ownTable(withoutBinding(brake.table), Brake.createSql(withoutBinding(brake.table))))
  return needs
}

function column(table: OrderTable, attribute: string, type: string): Need {
  const [name, field] = [withoutBinding(table.table), withoutBinding(table.bareColumn(attribute))]
  return {
    up: [`ALTER TABLE ${name} ADD COLUMN IF NOT EXISTS ${field} ${type}`],
    down: [`ALTER TABLE ${name} DROP COLUMN IF EXISTS ${field}`],
  }
}

function index(table: OrderTable, words: string[], attributes: string[], where = ''): Need {
  const name = indexName([tableName(table), ...words].join('_'))
  const columns = attributes.map((attribute) => withoutBinding(table.bareColumn(attribute))).join(', ')
  return {
    up: [`CREATE INDEX IF NOT EXISTS "${name.replaceAll('"', '""')}" ON ${withoutBinding(table.table)} (${columns})${where}`],
    down: [`DROP INDEX IF EXISTS ${withoutBinding(table.beside(name))}`],
  }
}

function ownTable(name: string, up: string[]): Need {
  return { up, down: [`DROP TABLE IF EXISTS ${name}`] }
}

function fieldOf(table: OrderTable, attribute: string): string {
  return table.attribute('attribute', attribute).field
}

function tableName({ model }: OrderTable): string {
  const name = model.getTableName() as string | { tableName: string }
  return typeof name === 'string' ? name : name.tableName
}

function indexName(name: string): string {
  if (Buffer.byteLength(name) <= LONGEST_NAME) return name
  return `order_timers_${createHash('sha256').update(name).digest('hex').slice(0, 16)}`
}

/** What `triggerSql` makes. */
function dropTriggerSql(rules: readonly BoundRule[]): string[] {
  const tables = rules.flatMap(({ row }) => (row?.move && row.deadlineAttribute !== undefined ? [row.guard.table] : []))
  return unique(
    tables.flatMap((table) => [
      `DROP TRIGGER IF EXISTS ${TRIGGER} ON ${withoutBinding(table.table)}`,
      `DROP FUNCTION IF EXISTS ${withoutBinding(table.beside(`${TRIGGER}_${tableName(table)}`.slice(0, LONGEST_NAME)))}()`,
    ]),
  )
}

function unique(statements: string[]): string[] {
  return [...new Set(statements)]
}

function refuseSeveralDatabases(rules: readonly BoundRule[]): void {
  const databases = new Set(rules.flatMap(({ row }) => (row ? [row.guard.table.sequelize] : [])))
  if (databases.size <= 1) return
  const remedy = 'make one for the rules of each, naming them (--kind, once for each)'
  throw new OrderTimersError(
    'INVALID_OPTION',
    `orderTimers: the rules lie in ${databases.size} databases, and a migration is for one; ${remedy}`,
  )
}
