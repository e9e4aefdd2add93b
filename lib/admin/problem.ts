// Why a rule could not be read, for a person: what its table lacks, with the remedy, or that Postgres does not answer.

import { errorText } from '../error-text.js'
import type { RowRule } from '../rows/row-rule.js'
import type { ShopRule } from '../rules/rule.js'
import { inTransaction, rows } from '../sequelize/database.js'
import { faultOwnerOf } from '../sequelize/fault-owner.js'
import { fullPool, isPoolExhausted, POOL_REMEDY } from '../sequelize/pool-exhausted.js'
import { QUESTION } from '../sequelize/statement-limits.js'
import type { Runtime } from '../timers/runtime.js'
import { within } from '../wait.js'

/** Before the connection of a question that is not answered is closed, so that it is told as what it is. */
const WAIT_MS = 3_500

export interface Problem {
  message: string
  /** True: Postgres did not answer, so nothing is known. False: something is wrong with the rule or its tables. */
  unreachable: boolean
  /** Whether something is wrong with the rule or its tables; otherwise it just could not be read. */
  isConfiguration?: boolean
}

/** The rule, bound to its model, or why it cannot be bound. */
export function boundRule(runtime: Runtime, kind: string): { rule: ShopRule; problem?: never } | { rule?: never; problem: Problem } {
  try {
    return { rule: runtime.rule(kind) }
  } catch (error) {
    return { problem: { message: errorText(error), unreachable: false } }
  }
}

/** All that can fail on orders: the rules, and the reminders of those that can be bound. */
export function failingKinds(runtime: Runtime): string[] {
  return runtime.kinds.flatMap((kind) => [kind, ...(boundRule(runtime, kind).rule?.reminders ?? []).map((one) => one.kind)])
}

/** @param error the error of reading the rule's rows. If the check of its tables finds the reason, that is the problem. */
export async function problemOf({ row }: Pick<ShopRule, 'row'>, error: unknown): Promise<Problem> {
  const toProblem = (cause: unknown): Problem => {
    const owner = faultOwnerOf(cause)
    const unreachable = owner === 'database'
    const message = errorText(cause)
    return {
      message: unreachable ? noAnswer(cause) : message,
      unreachable,
      isConfiguration: owner === 'configuration',
    }
  }
  try {
    await row?.check()
    return toProblem(error)
  } catch (wrong) {
    return toProblem(wrong)
  }
}

/** The problems that the check of a rule's tables and statements finds, or why it could not be made. The latter does not mean that something is wrong. */
export async function lookInWords({ look }: RowRule): Promise<{ problem: string | undefined; notLookedAt: string | undefined }> {
  const { wrong, partial, unseen } = await look()
  const all = [...wrong, ...partial]
  return {
    problem: all.length === 0 ? undefined : all.map(({ message }) => message).join('\n'),
    notLookedAt: unseen === undefined ? undefined : `its statements were not checked (${errorText(unseen)}); ask again`,
  }
}

/**
 * Asks each database of these rules once.
 * @returns why one of them cannot be used; undefined if all of them answer
 */
export async function postgresTrouble(rules: readonly Pick<ShopRule, 'row'>[]): Promise<string | undefined> {
  const databases = new Set(rules.flatMap(({ row }) => (row ? [row.guard.table.sequelize] : [])))
  const answers = [...databases].map((sequelize) =>
    within(
      WAIT_MS,
      inTransaction(sequelize, QUESTION, (transaction) => rows(sequelize, 'SELECT 1', [], transaction)).then(() => null, noAnswer),
    ),
  )
  for (const answer of await Promise.all(answers)) {
    if (answer === null) continue
    return answer ?? silence([...databases].map(fullPool).find((full) => full !== undefined))
  }
  return undefined
}

/** Text for a person. @param error the error of a statement that Postgres did not carry out */
function noAnswer(error: unknown): string {
  if (isPoolExhausted(error)) return `${errorText(error)}, so Postgres was not asked; ${POOL_REMEDY}`
  return `Postgres does not answer (${errorText(error)}); ${CHECK}`
}

const CHECK = 'check that it runs and can be reached, and that user, password and database are right'

/** @param full set if the pool has no free connection: then Postgres may not have been asked */
function silence(full: string | undefined): string {
  const nothing = `nothing in ${WAIT_MS / 1_000} s`
  return full === undefined
    ? `Postgres does not answer (${nothing}); ${CHECK}`
    : `Postgres was not asked: ${full}, ${nothing}; ${POOL_REMEDY}`
}
