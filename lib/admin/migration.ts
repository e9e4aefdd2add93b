// `order-timers migration`: statements that add what the declared rules need in the database: columns, indexes, and the tables of history and
// brakes. They are built from the rules only; Postgres is not asked, and nothing is run. `up` itself finds out what is missing and marks what it
// adds, so that `down` drops that and nothing else.

import { createHash } from 'node:crypto'
import { OrderTimersError } from '../errors.js'
import { ACTIONS_TABLE, ActionsTable } from '../rows/actions-table.js'
import { Brake } from '../rows/brake.js'
import { HISTORY_TABLE, History, VERIFIED_COLUMN } from '../rows/history.js'
import { HOLDS_TABLE, Holds } from '../rows/holds.js'
import type { OrderTable } from '../rows/order-table.js'
import { ProcessesTable } from '../rows/processes-table.js'
import type { RowRule } from '../rows/row-rule.js'
import { RUNS_TABLE, RunsTable } from '../rows/runs-table.js'
import { UNVERIFIED_TABLE, Unverified } from '../rows/unverified.js'
import type { ShopRule } from '../rules/rule.js'
import { withoutBinding } from '../sequelize/sql.js'
import type { Runtime } from '../timers/runtime.js'
import { type Addition, addSql, columnAddition, dropSql, indexAddition, tableAddition } from './additions.js'
import { triggerMigration, triggerNotes } from './trigger-migration.js'

/** Statements, each harmless to repeat, without semicolons at their ends. */
export interface Migration {
  /** The rules that it is for. */
  kinds: string[]
  up: string[]
  /** Drops what this `up` added, with all data in it. What was there before stays. */
  down: string[]
  /** What it does not do, and why. */
  notes: string[]
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
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_MODEL, INVALID_STATUS; INVALID_OPTION if the rules lie in several databases, or for the trigger
 * where `after` is a function
 */
export function migration(runtime: Runtime, { kinds = runtime.kinds, trigger = false }: MigrationOptions = {}): Migration {
  const rules = kinds.map((kind) => runtime.rule(kind))
  refuseSeveralDatabases(rules)
  const ofRows = rules.flatMap(({ row }) => (row ? [row] : []))
  const additions = uniqueAdditions([...ofRows.flatMap(additionsOf), ...ofRows.flatMap(({ guard }) => ownTables(guard.table))])
  const names = rules.map(({ kind }) => kind)
  const mark = markOf(names, additions)
  const triggers = trigger ? triggerMigration(rules, mark) : { up: [], down: [] }
  return {
    kinds: names,
    up: [...additions.map((one) => addSql(one, mark)), ...triggers.up],
    down: [...triggers.down, ...additions.map((one) => dropSql(one, mark)).reverse()],
    notes: trigger ? triggerNotes(rules) : [],
  }
}

/** The comment on what a migration adds. Another migration that finds this comment changes neither the object nor the comment, in `up` and in `down`. */
function markOf(kinds: readonly string[], additions: readonly Addition[]): string {
  const needs = JSON.stringify([kinds, additions.map(({ create }) => create)])
  return `added by order-timers, migration ${createHash('sha256').update(needs).digest('hex').slice(0, 8)}`
}

function additionsOf(row: RowRule): Addition[] {
  const { guard, deadline, history, brake, options } = row
  const { table } = guard
  const needs: Addition[] = []
  if (deadline.in === 'column') {
    const { attribute, pause, extensions } = deadline
    needs.push(column(table, attribute, 'timestamptz'))
    if (pause) needs.push(column(table, pause.keep, 'bigint'))
    if (extensions) needs.push(column(table, extensions.attribute, extensions.unit === 'ms' ? 'bigint' : 'integer'))
  }
  const index = deadlineIndex(row)
  if (index) needs.push(indexAddition(withoutBinding(table.table), index))
  if (history) needs.push(tableAddition(withoutBinding(history.table), History.createSql(withoutBinding(history.table))))
  if (options.verify) needs.push(...forVerify(table))
  if (brake) needs.push(tableAddition(withoutBinding(brake.table), Brake.createSql(withoutBinding(brake.table))))
  return needs
}

/** Also with `dryRun`, which does not need it: it will exist when the rule is switched on. */
function forVerify(orders: OrderTable): Addition[] {
  const unverified = withoutBinding(orders.inSameSchema(UNVERIFIED_TABLE))
  const history = withoutBinding(orders.inSameSchema(HISTORY_TABLE))
  return [
    columnAddition(history, { name: VERIFIED_COLUMN, quoted: `"${VERIFIED_COLUMN}"`, type: 'jsonb' }),
    tableAddition(unverified, Unverified.createSql(unverified)),
  ]
}

/** No rule needs them. Processes see each other by the first where Redis does not answer; the second records what operators do; then come runs and holds. */
function ownTables(orders: OrderTable): Addition[] {
  const processes = withoutBinding(new ProcessesTable(orders).name)
  const actions = withoutBinding(orders.inSameSchema(ACTIONS_TABLE))
  const runs = withoutBinding(orders.inSameSchema(RUNS_TABLE))
  const holds = withoutBinding(orders.inSameSchema(HOLDS_TABLE))
  return [
    tableAddition(processes, ProcessesTable.createSql(processes)),
    tableAddition(actions, ActionsTable.createSql(actions)),
    tableAddition(runs, RunsTable.createSql(runs)),
    tableAddition(holds, Holds.createSql(holds)),
  ]
}

function column(table: OrderTable, attribute: string, type: string): Addition {
  const quoted = withoutBinding(table.bareColumn(attribute))
  return columnAddition(withoutBinding(table.table), { name: fieldOf(table, attribute), quoted, type })
}

/** An index: its name, and what follows CREATE INDEX. */
export interface IndexDefinition {
  name: string
  definition: string
}

/** The index by which the sweep finds what is due. Undefined if Redis alone has the deadlines. */
export function deadlineIndex({ guard: { table, statusAttribute }, deadline }: RowRule): IndexDefinition | undefined {
  if (deadline.in === 'column') {
    const { attribute } = deadline
    const where = ` WHERE ${withoutBinding(table.bareColumn(attribute))} IS NOT NULL`
    return index(table, [fieldOf(table, attribute), 'due'], [attribute, table.idAttribute], where)
  }
  if (deadline.in !== 'since') return undefined
  const attributes = [...(statusAttribute ? [statusAttribute] : []), deadline.attribute]
  const fields = attributes.map((name) => fieldOf(table, name))
  return index(table, fields, attributes)
}

function index(table: OrderTable, words: string[], attributes: string[], where = ''): IndexDefinition {
  const name = indexName([tableName(table), ...words].join('_'))
  const columns = attributes.map((attribute) => withoutBinding(table.bareColumn(attribute))).join(', ')
  return { name, definition: `"${name.replaceAll('"', '""')}" ON ${withoutBinding(table.table)} (${columns})${where}` }
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

/** Two rules may need the same. */
function uniqueAdditions(additions: readonly Addition[]): Addition[] {
  return [...new Map(additions.map((one) => [one.create.join(';'), one])).values()]
}

function refuseSeveralDatabases(rules: readonly ShopRule[]): void {
  const databases = new Set(rules.flatMap(({ row }) => (row ? [row.guard.table.sequelize] : [])))
  if (databases.size <= 1) return
  const remedy = 'make one for the rules of each, naming them (--kind, once for each)'
  throw new OrderTimersError(
    'INVALID_OPTION',
    `orderTimers: the rules lie in ${databases.size} databases, and a migration is for one; ${remedy}`,
  )
}
