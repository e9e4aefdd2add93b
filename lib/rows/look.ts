// Checks a rule in advance: its tables, what they refer to, and every statement, planned by Postgres and not run. Problems are reported by
// rule and option. What could not be checked (a lock, a connection, a timeout) counts neither as right nor as wrong, and is checked again.

import type { Transaction } from 'sequelize'
import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'
import { inTransaction } from '../sequelize/database.js'
import { faultOwnerOf, isDoubtful, sqlStateOf } from '../sequelize/fault-owner.js'
import { INSUFFICIENT_PRIVILEGE } from '../sequelize/sqlstates.js'
import { LOOK } from '../sequelize/statement-limits.js'
import { remedyOf } from '../sequelize/wrong-statement.js'
import { lookAtReferences } from './references.js'
import type { Look, LookOptions, SettledRows } from './row-rule.js'
import { lookAtRowSecurity } from './row-security.js'
import { optionStatements, ruleStatements, type Statement } from './statements.js'
import { lookAtStatusDefault } from './status-default.js'
import { lookAtTables } from './table-look.js'

/** How long a check of all statements is valid, as long as the columns do not change. */
const FULL_EVERY_MS = 10 * 60_000

export class RuleLook {
  /** The columns when all statements were last found right, and when that was. */
  private right: { columns: string; at: number } | undefined
  /** The warnings of the last full check: they do not prevent the rule from running. */
  private partial: string[] = []

  constructor(
    private readonly row: SettledRows,
    /** Has Postgres plan all statements of settling, on an explaining transaction. */
    private readonly explain: (transaction: Transaction) => Promise<void>,
  ) {}

  /**
   * @param how.briefly checks only the tables if the statements were found right on the same columns a short while ago
   * @param how.withoutWorker for a process that settles nothing: it may lack rights that only workers need
   */
  async look({ briefly = false, withoutWorker = false }: LookOptions = {}): Promise<Look> {
    const { table } = this.row.guard
    try {
      const problems = await this.problems(briefly, withoutWorker)
      const coded = (texts: string[]) => texts.map((text) => table.invalid(text))
      return { wrong: coded(problems), partial: coded(this.partial), unseen: undefined }
    } catch (error) {
      this.right = undefined
      return { wrong: [], partial: [], unseen: error }
    }
  }

  /** From the tables up: what depends on something wrong is not checked. */
  private async problems(briefly: boolean, withoutWorker: boolean): Promise<string[]> {
    const { row } = this
    const { sequelize } = row.guard.table
    const tables = await inTransaction(sequelize, LOOK, (transaction) => lookAtTables(row, transaction))
    if (tables.problems.length > 0 || (briefly && this.isKnownRight(tables.columns))) return tables.problems
    this.right = undefined
    this.partial = []
    const ofOptions = await this.statements(optionStatements(row), (name) => name, withoutWorker)
    if (ofOptions.length > 0) return ofOptions
    const ofValues = await inTransaction(sequelize, LOOK, async (transaction) => {
      const hidden = withoutWorker || row.deadline.in === 'reminder' ? [] : await lookAtRowSecurity(row, transaction)
      const { wrong, partial } = await lookAtReferences(row, transaction)
      return { wrong, partial: [...hidden, ...partial, ...(await lookAtStatusDefault(row, transaction))] }
    })
    const ofRule = await this.statements(ruleStatements(row, this.explain), (name) => `its statement for ${name}`, withoutWorker)
    this.partial = [...tables.partial, ...ofValues.partial]
    if (ofValues.wrong.length + ofRule.length > 0) return [...ofValues.wrong, ...ofRule]
    if (!withoutWorker) this.right = { columns: tables.columns, at: performance.now() }
    return []
  }

  private isKnownRight(columns: string): boolean {
    return this.right !== undefined && this.right.columns === columns && performance.now() - this.right.at < FULL_EVERY_MS
  }

  /** A statement that fails aborts the transaction; the next one begins another. @throws errors that are the database's or ours */
  private async statements(statements: Statement[], inWords: (name: string) => string, withoutWorker: boolean): Promise<string[]> {
    const { table } = this.row.guard
    const problems = new Set<string>()
    for (let next = 0; next < statements.length; ) {
      try {
        await inTransaction(table.sequelize, { ...LOOK, explains: true }, async (transaction: Transaction) => {
          for (; next < statements.length; next += 1) await (statements[next] as Statement).run(transaction)
        })
      } catch (error) {
        const failed = statements[next] // none if COMMIT failed
        next += 1
        if (failed?.mayFail?.includes(sqlStateOf(error) ?? '')) continue
        if (withoutWorker && failed?.ofWorker && sqlStateOf(error) === INSUFFICIENT_PRIVILEGE) continue
        const owner = faultOwnerOf(error)
        const isWrong = owner === 'configuration' || (owner === 'rule' && isDoubtful(error))
        if (!failed || !isWrong) throw error
        problems.add(`${inWords(failed.name)} cannot run: ${errorText(error)}; ${remedyOf(error, table.tableText)}`)
      }
    }
    return [...problems]
  }
}

/** @throws OrderTimersError INVALID_MODEL with everything that is wrong; the error that prevented the check */
export async function check(look: RuleLook): Promise<void> {
  const { wrong, unseen } = await look.look()
  const [first, ...others] = wrong
  if (first) throw others.length === 0 ? first : new OrderTimersError('INVALID_MODEL', wrong.map(({ message }) => message).join('\n'))
  if (unseen !== undefined) throw unseen
}
