// Whether the table accepts a rule's values: the rows that a foreign key of the status needs, and the values that a CHECK or a domain allows.
// If it does not, every settlement would fail.

import type { Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { show } from '../errors.js'
import { rows } from '../sequelize/database.js'
import { isDatabaseTrouble, isLocked, sqlStateOf } from '../sequelize/fault-owner.js'
import { isExpression, referenceOf, valueSql } from '../sequelize/sql.js'
import { INSUFFICIENT_PRIVILEGE } from '../sequelize/sqlstates.js'
import { columnsOf } from './columns.js'
import type { SettledRows } from './row-rule.js'

/** A value that the rule reads or writes, by its option. */
interface Value {
  option: string
  attribute: string
  value: unknown
  written: boolean
}

interface Constraint {
  name: string
  column: string
  type: string
  /** The table and the column that a foreign key names, quoted. */
  table: string | null
  key: string | null
  /** For a foreign key over several columns: the others, quoted; if one of them is NULL, the row refers to nothing. */
  optional: string | null
  /** The required columns of that table, quoted. */
  required: string | null
  /** The condition of a CHECK. */
  condition: string | null
}

/** Why a value cannot be written, as text. */
export interface ValueProblem {
  message: string
  /** The INSERT of the missing row, with `…` for other columns that must have a value. */
  insert?: string
  /** Whether the rule works for its other orders, so that it need not be suspended. */
  isPartial: boolean
}

/** @returns what is wrong, as text; a missing row with its INSERT as a comment */
export async function lookAtReferences(row: SettledRows, transaction: Transaction): Promise<{ wrong: string[]; partial: string[] }> {
  const problems = await valueProblems(row, transaction)
  const inWords = ({ message, insert }: ValueProblem) => (insert === undefined ? message : `${message}; insert it:\n-- ${insert}`)
  return {
    wrong: problems.filter(({ isPartial }) => !isPartial).map(inWords),
    partial: problems.filter(({ isPartial }) => isPartial).map(inWords),
  }
}

/** The INSERT of each row that the rule's values refer to according to the model, whether the row exists or not. */
export function referencedRows(row: SettledRows): string[] {
  const { model } = row.guard.table
  return valuesOf(row).flatMap(({ attribute, value }) => {
    const reference = referenceOf(model, attribute)
    return reference ? [insertSql(reference.table, [reference.key], value)] : []
  })
}

export async function valueProblems(row: SettledRows, transaction: Transaction): Promise<ValueProblem[]> {
  const { table } = row.guard
  const values = valuesOf(row)
  if (values.length === 0) return []
  const constraints = await rows<Constraint>(table.sequelize, CONSTRAINTS, [table.tableText], transaction)
  const columns = await columnsOf(table, transaction)
  // A foreign key sees all rows. A query under row-level security would see only some, so it is refused instead (insufficient privilege).
  await rows(table.sequelize, 'SET LOCAL row_security = off', [], transaction)
  const problems: ValueProblem[] = []
  for (const value of values) {
    const { name: column, type, baseType } = columns.get(value.attribute) ?? {}
    const refused = value.written && type !== baseType && (await refusal(row, value, type as string, transaction))
    if (refused)
      problems.push({
        message: `${value.option} is ${show(value.value)}, which ${type} refuses (${refused}), so every settlement would fail; change the domain, or the option`,
        isPartial: false,
      })
    for (const constraint of constraints) {
      if (constraint.column !== column || !(constraint.condition === null || value.written)) continue
      const answer = await holds(row, value, constraint, transaction)
      if (answer !== true) problems.push(problem(row, value, constraint, answer))
    }
  }
  return problems
}

function valuesOf({ guard, move, set = {} }: SettledRows): Value[] {
  const { model } = guard.table
  const statuses = move
    ? [
        ...move.from.map((value) => ({ option: '"from"', attribute: move.status, value, written: false })),
        { option: '"to"', attribute: move.status, value: move.to, written: true },
      ]
    : []
  const written = Object.entries(set).map(([attribute, value]) => ({ option: `"set.${attribute}"`, attribute, value, written: true }))
  return [...statuses, ...written].filter(({ value }) => value !== null && value !== undefined && !isExpression(model, value))
}

/** How a domain refuses a value. Postgres checks its conditions only when a row is written, so no plan shows it. */
async function refusal(
  { guard }: SettledRows,
  { attribute, value }: Value,
  type: string,
  transaction: Transaction,
): Promise<string | undefined> {
  const { table } = guard
  await rows(table.sequelize, 'SAVEPOINT order_timers_look', [], transaction)
  try {
    await rows(table.sequelize, `SELECT CAST(${valueSql(table.model, attribute, value)} AS ${type})`, [], transaction)
    return undefined
  } catch (error) {
    if (isDatabaseTrouble(error) || sqlStateOf(error) === undefined) throw error
    await rows(table.sequelize, 'ROLLBACK TO SAVEPOINT order_timers_look', [], transaction)
    return errorText(error)
  }
}

/** @returns true also if this user may not read all of the other table; a text if the query itself failed, such as a function of a CHECK */
async function holds(
  { guard }: SettledRows,
  { attribute, value }: Value,
  constraint: Constraint,
  transaction: Transaction,
): Promise<boolean | string> {
  const { table } = guard
  const literal = valueSql(table.model, attribute, value)
  const { condition, key, optional } = constraint
  const quoted = `"${constraint.column.replaceAll('"', '""')}"`
  const sql = condition
    ? `SELECT ((${condition}) IS NOT FALSE)::int AS holds FROM (SELECT CAST(${literal} AS ${constraint.type}) AS ${quoted}) AS one`
    : `SELECT count(*)::int AS holds FROM (SELECT 1 FROM ${constraint.table} WHERE ${key} = ${literal} LIMIT 1) AS one`
  await rows(table.sequelize, 'SAVEPOINT order_timers_look', [], transaction)
  try {
    const [row] = await rows<{ holds: number | string }>(table.sequelize, condition ? sql.replace(/\B\$/g, '$$$$') : sql, [], transaction)
    return Number(row?.holds) > 0
  } catch (error) {
    // There may be no index on only this column of a large table.
    const isUnseen = sqlStateOf(error) === INSUFFICIENT_PRIVILEGE || (optional !== null && isLocked(error))
    if (!isUnseen && (isDatabaseTrouble(error) || sqlStateOf(error) === undefined)) throw error
    await rows(table.sequelize, 'ROLLBACK TO SAVEPOINT order_timers_look', [], transaction)
    return isUnseen || errorText(error)
  }
}

function problem(
  { guard }: SettledRows,
  { option, value, written }: Value,
  { name, table, key, optional, required, condition }: Constraint,
  answer: false | string,
): ValueProblem {
  const { tableText } = guard.table
  if (condition !== null) {
    const why = answer === false ? condition : `${condition}: ${answer}`
    return {
      message: `${option} is ${show(value)}, which the constraint "${name}" of ${tableText} refuses (${why}), so every settlement would fail; change the constraint, or the option`,
      isPartial: false,
    }
  }
  const sometimes = `so a settlement would fail on it unless ${optional} is NULL`
  const effect = !written ? 'so no order can ever have it' : optional ? sometimes : 'so every settlement would fail on it'
  const others = required?.split(', ').filter((column) => column !== key) ?? []
  const missing = answer === false ? `has no row in ${table}` : `cannot be looked for in ${table} (${answer})`
  return {
    message: `${option} is ${show(value)}, which ${missing}, to which the foreign key "${name}" of ${tableText} refers, ${effect}`,
    insert: insertSql(table as string, [key as string, ...others], value),
    isPartial: !written || Boolean(optional),
  }
}

/** @param columns the first gets the value; a person must fill in the others */
function insertSql(table: string, columns: string[], value: unknown): string {
  const [, ...others] = columns
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${[literalOf(value), ...others.map(() => '…')].join(', ')})`
}

/** On one line, even if it has line breaks, because it is printed within a comment. */
function literalOf(value: unknown): string {
  const text = String(value)
  if (typeof value === 'number' || /^-?\d+$/.test(text)) return text
  const quoted = text.replaceAll("'", "''")
  if (!/[\r\n]/.test(text)) return `'${quoted}'`
  return `E'${quoted.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')}'`
}

/** Without constraints that Postgres 18 does not enforce (NOT ENFORCED). */
const CONSTRAINTS = `SELECT c.conname AS name, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
  CASE c.contype WHEN 'f' THEN c.confrelid::regclass::text END AS table,
  (SELECT quote_ident(k.attname) FROM pg_attribute k WHERE c.contype = 'f' AND k.attrelid = c.confrelid AND k.attnum = c.confkey[own.place]) AS key,
  CASE WHEN cardinality(c.conkey) > 1 THEN (SELECT coalesce(string_agg(quote_ident(o.attname), ' or ' ORDER BY o.attnum), '') FROM pg_attribute o
    WHERE o.attrelid = c.conrelid AND o.attnum = ANY(c.conkey) AND o.attnum <> own.attnum AND NOT o.attnotnull AND c.confmatchtype = 's') END AS optional,
  (SELECT string_agg(quote_ident(r.attname), ', ' ORDER BY r.attnum) FROM pg_attribute r WHERE c.contype = 'f' AND r.attrelid = c.confrelid
    AND r.attnum > 0 AND NOT r.attisdropped AND r.attnotnull AND NOT r.atthasdef AND r.attidentity = '') AS required,
  CASE c.contype WHEN 'c' THEN pg_get_expr(c.conbin, c.conrelid) END AS condition
FROM pg_constraint c CROSS JOIN unnest(c.conkey) WITH ORDINALITY AS own (attnum, place)
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = own.attnum
WHERE c.conrelid = to_regclass($1) AND (c.contype = 'f' OR c.contype = 'c' AND cardinality(c.conkey) = 1)
  AND to_jsonb(c) ->> 'conenforced' IS DISTINCT FROM 'false'`
