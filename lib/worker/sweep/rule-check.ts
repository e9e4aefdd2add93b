// The check of a rule before it is swept. A rule whose table or statements are wrong settles nothing and arms nothing until a later check passes.

import { errorText } from '../../error-text.js'
import { type BoundRule, isSwept, type OrderRule, type SweptRule } from '../../rules/rule.js'
import { isLocked } from '../../sequelize/fault-owner.js'
import type { Reporter } from '../reporter.js'
import type { RuleHealth } from '../settling/rule-health.js'

/** A rule over rows whose deadlines are only in Redis (`deadline: false`): no sweep reads it, but its statements may be wrong. */
export type CheckedOnlyRule = OrderRule & { readonly row: NonNullable<OrderRule['row']> }

export function isCheckedOnly(rule: BoundRule): rule is CheckedOnlyRule {
  return rule.row !== undefined && !isSwept(rule)
}

/**
 * @returns whether the rule may be swept
 * @throws why it could not be checked; a locked table does not throw
 */
export async function passesCheck(
  { kind, row }: SweptRule | CheckedOnlyRule,
  ruleHealth: RuleHealth,
  reporter: Reporter,
): Promise<boolean> {
  const { faults } = reporter
  const { wrong, partial, unseen } = await row.look({ briefly: !ruleHealth.isBroken(kind) })
  if (unseen === undefined) {
    faults.clear('NOT_LOOKED_AT', kind)
    for (const message of ruleHealth.newlyPartial(kind, partial)) reporter.log('warn', message, { code: 'INVALID_MODEL', kind })
  }
  if (wrong.length > 0) {
    ruleHealth.checkFailed(kind, wrong)
    return false
  }
  if (unseen === undefined) {
    ruleHealth.checkPassed(kind)
    return true
  }
  if (!isLocked(unseen)) throw unseen
  const message = `${kind}: its statements could not be checked (${errorText(unseen)}); the next sweep checks again`
  faults.raise('NOT_LOOKED_AT', { kind, message, error: unseen })
  return !ruleHealth.isBroken(kind)
}
