// The check of a rule before it is swept. A rule whose table or statements are wrong settles nothing and arms nothing until a later check passes.

import { errorText } from '../../error-text.js'
import type { SweptRule } from '../../rules/rule.js'
import { isLocked } from '../../sequelize/fault-owner.js'
import type { Faults } from '../faults.js'
import type { RuleHealth } from '../settling/rule-health.js'

/**
 * @returns whether the rule may be swept
 * @throws why it could not be checked; a locked table is no such reason
 */
export async function passesCheck({ kind, row }: SweptRule, ruleHealth: RuleHealth, faults: Faults): Promise<boolean> {
  const { wrong, unseen } = await row.look({ briefly: !ruleHealth.isBroken(kind) })
  if (wrong.length > 0) {
    ruleHealth.checkFailed(kind, wrong)
    return false
  }
  if (unseen === undefined) {
    ruleHealth.checkPassed(kind)
    faults.clear('NOT_LOOKED_AT', kind)
    return true
  }
  if (!isLocked(unseen)) throw unseen
  const message = `${kind}: its statements could not be looked at (${errorText(unseen)}); the next sweep looks again`
  faults.raise('NOT_LOOKED_AT', { kind, message, error: unseen })
  return !ruleHealth.isBroken(kind)
}
