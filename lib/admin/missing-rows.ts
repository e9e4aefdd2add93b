// Rows that the rules' values refer to by a foreign key, such as rows of a status table, as comments in a migration. Postgres says which are
// missing; if it does not answer, the models say which are needed. Only a person knows the other columns of such a row, so they are comments.

import { referencedRows, valueProblems } from '../rows/references.js'
import type { RowRule } from '../rows/row-rule.js'
import { inTransaction } from '../sequelize/database.js'
import { LOOK } from '../sequelize/statement-limits.js'
import type { Runtime } from '../timers/runtime.js'

/**
 * Does not reject if Postgres fails.
 * @returns lines for a comment; empty if nothing is missing
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_MODEL, INVALID_STATUS
 */
export async function missingRows(runtime: Runtime, kinds: readonly string[]): Promise<string[]> {
  const missing = new Set<string>()
  const needed = new Set<string>()
  for (const kind of kinds) {
    const { row } = runtime.rule(kind)
    if (!row) continue
    const found = await missingFor(row)
    for (const insert of found ?? referencedRows(row)) (found ? missing : needed).add(`  ${insert} ON CONFLICT DO NOTHING;`)
  }
  return [
    ...(missing.size > 0 ? ['Rows that the rules refer to by a foreign key, and that are missing:', ...missing] : []),
    ...(needed.size > 0
      ? ['Rows that the rules refer to, by their models (Postgres did not say which of them are there):', ...needed]
      : []),
  ]
}

/** Undefined if Postgres did not answer. */
async function missingFor(row: RowRule): Promise<string[] | undefined> {
  try {
    const problems = await inTransaction(row.guard.table.sequelize, LOOK, (transaction) => valueProblems(row, transaction))
    return problems.flatMap(({ insert }) => (insert === undefined ? [] : [insert]))
  } catch {
    return undefined
  }
}
