// The checks of a rule's or a reminder's statements, which are made before anything is settled.

import { check, RuleLook } from '../rows/look.js'
import type { RowChecks, SettledRows } from '../rows/row-rule.js'
import type { SettlementTransaction } from '../rows/settlement-transaction.js'

export function rowChecks(rows: SettledRows, settlement: SettlementTransaction): RowChecks {
  const look = new RuleLook(rows, (transaction) => settlement.planAll(transaction))
  return {
    look: (options) => look.look(options),
    check: () => check(look),
    plan: (transaction) => settlement.plan(transaction),
  }
}
