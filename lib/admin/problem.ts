// Why a rule could not be looked at, for a person: what its table lacks, if that is it, with the remedy.

import { errorText } from '../error-text.js'
import type { RowRule } from '../rows/row-rule.js'
import type { ShopRule } from '../rules/rule.js'
import { rows } from '../sequelize/database.js'
import { faultOwnerOf } from '../sequelize/fault-owner.js'
import type { Runtime } from '../timers/runtime.js'
import { within } from '../wait.js'

const PATIENCE_MS = 5_000

export interface Problem {
  message: string
  /** Whether Postgres did not answer, so that nothing is known; else something is wrong with the rule or its tables. */
  unreachable: boolean
}

/** The rule, bound to its model; or what is wrong with it. */
export function boundRule(runtime: Runtime, kind: string): { rule: ShopRule; problem?: never } | { rule?: never; problem: Problem } {
  try {
    return { rule: runtime.rule(kind) }
  } catch (error) {
    return { problem: { message: errorText(error), unreachable: false } }
  }
}

export async function problemOf({ row }: Pick<ShopRule, 'row'>, error: unknown): Promise<Problem> {
  const told = (cause: unknown): Problem => {
    const unreachable = faultOwnerOf(cause) === 'database'
    const message = errorText(cause)
    return {
      message: unreachable ? `Postgres does not answer (${message}); check that it runs and can be reached` : message,
      unreachable,
    }
  }
  try {
    await row?.check()
    return told(error)
  } catch (wrong) {
    return told(wrong)
  }
}

/** What a look at a rule's tables and statements finds wrong; and why it could not be looked at, which is no verdict. */
export async function lookInWords({ look }: RowRule): Promise<{ problem: string | undefined; notLookedAt: string | undefined }> {
  const { wrong, unseen } = await look()
  return {
    problem: wrong.length === 0 ? undefined : wrong.map(({ message }) => message).join('\n'),
    notLookedAt: unseen === undefined ? undefined : `its statements were not looked at (${errorText(unseen)}); ask again`,
  }
}

/** Asked of each database once; one that is silent counts as one that does not answer. */
export async function postgresTrouble(rules: readonly Pick<ShopRule, 'row'>[]): Promise<string | undefined> {
  const databases = new Set(rules.flatMap(({ row }) => (row ? [row.guard.table.sequelize] : [])))
  const answers = [...databases].map((sequelize) =>
    within(
      PATIENCE_MS,
      rows(sequelize, 'SELECT 1', [], null).then(() => null, errorText),
    ),
  )
  for (const answer of await Promise.all(answers)) {
    if (answer === null) continue
    return `Postgres does not answer (${answer ?? `nothing in ${PATIENCE_MS} ms`}); check that it runs and can be reached`
  }
  return undefined
}
