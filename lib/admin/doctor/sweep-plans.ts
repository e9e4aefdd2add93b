// How Postgres plans to read what is overdue and what comes due (EXPLAIN): it should use an index on the deadline, however many orders there are.

import type { RowRule } from '../../rows/row-rule.js'
import { inTransaction, rows } from '../../sequelize/database.js'
import { ownOptions } from '../../sequelize/query-options.js'
import { LOOK } from '../../sequelize/statement-limits.js'
import { deadlineIndex, type IndexDefinition } from '../migration.js'
import { byHand, type Check, type Finding, fine, ofEach, psql, wrong } from './check.js'

const INDEX = 'sweep.index'
const PLAN = 'sweep.plan'

/** With this many rows or more, a sweep that reads the whole table is too expensive. */
const MANY_ROWS = 10_000

const SEQ_SCAN = /Seq Scan on/

export const sweepPlans: Check = {
  name: INDEX,
  needs: 'postgres',
  async look({ databases }) {
    const swept = databases.flatMap(({ rules }) => rules.filter(({ row }) => row.deadline.in !== 'redis'))
    return ofEach(swept, INDEX, ({ kind, row }) => ofRule(kind, row))
  },
}

async function ofRule(kind: string, row: RowRule): Promise<Finding[]> {
  const index = deadlineIndex(row) as IndexDefinition
  const expected = `an index that finds what is due, such as ${index.definition}`
  const column = row.guard.deadlineColumn?.split('.').at(-1)?.replaceAll('"', '') ?? ''
  // With enable_seqscan off, Postgres uses any suitable index, however small the table is.
  const cheapest = await plansOf(row, 'SET LOCAL enable_seqscan = off')
  const byIndex = cheapest.every((plan) => usesIndexOn(column, plan))
  const indexes = byIndex ? [] : await indexesOn(row, column)
  // Where few orders have the rule's status, an index on the status alone may be cheaper for now.
  const isSpared = !cheapest.some(readsWhole) && indexes.some(({ valid }) => valid)
  if (!byIndex && !isSpared) {
    const { tableText } = row.guard.table
    const broken = indexes.find(({ valid }) => !valid)?.name
    const found = broken
      ? `the index ${broken} is invalid: its creation was interrupted`
      : `none on ${column}; the sweep reads ${cheapest.some(readsWhole) ? `all of ${tableText}` : `all orders that another index finds in ${tableText}`}`
    const remedy = broken ? `REINDEX INDEX CONCURRENTLY ${broken}` : `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${index.definition}`
    return [wrong(INDEX, { kind, expected, found }, psql(remedy))]
  }
  return [fine(INDEX, { kind, expected, found: `there is one on ${column}` }), await planned(kind, row)]
}

/** The plan that Postgres would really use now. */
async function planned(kind: string, row: RowRule): Promise<Finding> {
  const { tableText } = row.guard.table
  const expected = `no reading of the whole table where it has more than ${MANY_ROWS.toLocaleString('en-US')} rows`
  const plans = await plansOf(row, undefined)
  const whole = plans.flat().find((line) => SEQ_SCAN.test(line))
  const count = Number(/rows=(\d+)/.exec((await plansOfTable(row)).join('\n'))?.[1] ?? 0)
  if (whole === undefined || count <= MANY_ROWS)
    return fine(PLAN, { kind, expected, found: whole === undefined ? 'by the index' : `the table has about ${count} rows` })
  const found = `${whole.trim()}: all of ${tableText}, although there is an index`
  const changed = await changedCosts(row)
  const about =
    changed.length === 0 ? '' : `; changed for this role: ${changed.map(({ name, setting }) => `${name} = ${setting}`).join(', ')}`
  const resets = changed.map(({ name, role }) => psql(`ALTER ROLE "${role}" RESET ${name}`))
  const again = changed.length === 0 ? [] : [byHand('then connect again: open sessions keep the old setting')]
  return wrong(PLAN, { kind, expected, found: `${found}${about}` }, psql(`ANALYZE ${tableText}`), ...resets, ...again)
}

/** The planner settings that this role or this database has changed. */
async function changedCosts({ guard: { table } }: RowRule): Promise<{ name: string; setting: string; role: string }[]> {
  const sql = `SELECT name, setting, current_user::text AS role FROM pg_settings
WHERE category LIKE 'Query Tuning%' AND source IN ('user', 'database', 'database user') ORDER BY name`
  return inTransaction(table.sequelize, LOOK, (transaction) => rows(table.sequelize, sql, undefined, transaction))
}

function readsWhole(plan: readonly string[]): boolean {
  return plan.some((line) => SEQ_SCAN.test(line))
}

function usesIndexOn(column: string, plan: readonly string[]): boolean {
  if (readsWhole(plan)) return false
  return plan.some((line) => /Index Cond:/.test(line) && line.includes(column))
}

async function plansOf(row: RowRule, setting: string | undefined): Promise<string[][]> {
  const { deadline, guard } = row
  const { sequelize } = guard.table
  const plans: string[][] = []
  if (deadline.in === 'redis') return plans
  const { pending } = deadline
  let collects = false
  const explains = (plan: string[]) => void (collects && plans.push(plan))
  await inTransaction(sequelize, { ...LOOK, explains }, async (transaction) => {
    // Sent directly, because our own statements on this transaction are explained.
    if (setting !== undefined) await sequelize.query(setting, ownOptions(sequelize, transaction))
    collects = true
    await pending.overdue(transaction, { elapsedMs: 0, after: undefined, limit: 1_000, lock: '' })
    await pending.upcoming(transaction, { horizonMs: 60_000, after: undefined, limit: 1_000 })
  })
  return plans
}

/** Postgres's estimate of the number of rows. */
async function plansOfTable({ guard: { table } }: RowRule): Promise<string[]> {
  const plans: string[] = []
  await inTransaction(table.sequelize, { ...LOOK, explains: (plan) => void plans.push(...plan) }, (transaction) =>
    rows(table.sequelize, `SELECT 1 FROM ${table.table}`, [], transaction),
  )
  return plans
}

/** The indexes with the deadline's column among their keys. Postgres does not use one that is invalid, since building it failed. */
async function indexesOn({ guard: { table } }: RowRule, column: string): Promise<{ name: string; valid: boolean }[]> {
  const sql = `SELECT i.indexrelid::regclass::text AS name, i.indisvalid AS valid FROM pg_index AS i
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts - 1])
WHERE i.indrelid = to_regclass($1) AND a.attname = $2`
  return inTransaction(table.sequelize, LOOK, (transaction) => rows(table.sequelize, sql, [table.tableText, column], transaction))
}
