// Transactions of a sweep. They are cut when the sweep is stopped, so that a silent connection does not delay the stop.

import type { Transaction } from 'sequelize'
import type { SweptRows } from '../../rows/row-rule.js'
import { inTransaction } from '../../sequelize/database.js'

const LIMITS = { lockMs: 300, statementMs: 60_000, idleMs: 10_000 }

/** Runs `work` in a transaction on the rule's database. */
export type Transact = <T>(row: SweptRows, work: (transaction: Transaction) => Promise<T>) => Promise<T>

export function transactUntil(stopping: AbortSignal): Transact {
  return ({ guard }, work) => inTransaction(guard.table.sequelize, LIMITS, work, { stopping })
}
