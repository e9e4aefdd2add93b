// What can be asked about the statements of a rule or of a reminder, before they settle anything.

import { check, RuleLook } from '../rows/look.js'
import type { RowChecks, SettledRows } from '../rows/row-rule.js'
import type { SettlementTransaction } from '../rows/settlement-transaction.js'

export function rowChecks(rows: SettledRows, settlement: SettlementTransaction): RowChecks {
  const look = new RuleLook(rows, (transaction) => settlement.planAll(transaction))
  return {
    look: (briefly) => look.look(briefly),
    check: () => check(look),
    plan: (transaction) => settlement.plan(transaction),
  }
}
