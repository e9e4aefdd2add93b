// Checks a rule before it matters: its tables, what they refer to, and every statement, planned by Postgres and not run. Problems are reported by
// rule and option. What could not be checked (a lock, a connection, a timeout) counts neither as right nor as wrong, and is checked again.

import type { Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'
import { inTransaction } from '../sequelize/database.js'
import { faultOwnerOf, isDoubtful, sqlStateOf } from '../sequelize/fault-owner.js'
import { LOOK } from '../sequelize/statement-limits.js'
import { remedyOf } from '../sequelize/wrong-statement.js'
import { lookAtReferences } from './references.js'
import type { Look, SettledRows } from './row-rule.js'
import { optionStatements, ruleStatements, type Statement } from './statements.js'
import { lookAtTables } from './table-look.js'

/** How long a look at all statements is good for, as long as the columns do not change. */
const FULL_EVERY_MS = 10 * 60_000

export class RuleLook {
  /** The columns when all statements were last found right, and when that was. */
  private right: { columns: string; at: number } | undefined

  constructor(
    private readonly row: SettledRows,
    /** Has Postgres plan all statements of settling, on an explaining transaction. */
    private readonly explain: (transaction: Transaction) => Promise<void>,
  ) {}

  /** @param briefly looks at the tables alone where the statements were found right on the same columns a short while ago */
  async look(briefly = false): Promise<Look> {
    const { row } = this
    const { table } = row.guard
    const wrong: string[] = []
    try {
      const tables = await inTransaction(table.sequelize, LOOK, (transaction) => lookAtTables(row, transaction))
      wrong.push(...tables.problems)
      const known = this.right !== undefined && this.right.columns === tables.columns && performance.now() - this.right.at < FULL_EVERY_MS
      if (wrong.length === 0 && !(briefly && known)) {
        wrong.push(...(await this.statements(optionStatements(row), (name) => name)))
        if (wrong.length === 0) {
          wrong.push(...(await inTransaction(table.sequelize, LOOK, (transaction) => lookAtReferences(row, transaction))))
          wrong.push(...(await this.statements(ruleStatements(row, this.explain), (name) => `its statement for ${name}`)))
        }
        this.right = wrong.length === 0 ? { columns: tables.columns, at: performance.now() } : undefined
      }
    } catch (error) {
      this.right = undefined
      return { wrong: wrong.map((problem) => table.invalid(problem)), unseen: error }
    }
    return { wrong: wrong.map((problem) => table.invalid(problem)), unseen: undefined }
  }

  /** A statement that fails aborts the transaction; the next one begins another. @throws errors that are the database's or ours */
  private async statements(statements: Statement[], inWords: (name: string) => string): Promise<string[]> {
    const { table } = this.row.guard
    const problems = new Set<string>()
    for (let next = 0; next < statements.length; ) {
      try {
        await inTransaction(table.sequelize, { ...LOOK, explains: true }, async (transaction: Transaction) => {
          for (; next < statements.length; next += 1) await (statements[next] as Statement).run(transaction)
        })
      } catch (error) {
        if (statements[next]?.mayFail?.includes(sqlStateOf(error) ?? '')) {
          next += 1
          continue
        }
        const owner = faultOwnerOf(error)
        if (owner !== 'configuration' && !(owner === 'rule' && isDoubtful(error))) throw error
        const { name } = statements[next] as Statement
        problems.add(`${inWords(name)} cannot run: ${errorText(error)}; ${remedyOf(error, table.tableText)}`)
        next += 1
      }
    }
    return [...problems]
  }
}

/** @throws OrderTimersError INVALID_MODEL with all that is wrong; what kept the look from being made */
export async function check(look: RuleLook): Promise<void> {
  const { wrong, unseen } = await look.look()
  const [first, ...others] = wrong
  if (first) throw others.length === 0 ? first : new OrderTimersError('INVALID_MODEL', wrong.map(({ message }) => message).join('\n'))
  if (unseen !== undefined) throw unseen
}
