// Deadlines and stored pause times on rows of orders that have left: they are cleared batch by batch, and counted, so that an order that returns is
// not settled by an old deadline. If the table refuses this, by a trigger or a missing right, the rule still works.

import type { Transaction } from 'sequelize'
import type { LeftDeadlines } from '../../rows/left-deadlines.js'
import type { SweptRule } from '../../rules/rule.js'
import { isDatabaseTrouble } from '../../sequelize/fault-owner.js'
import type { Reporter } from '../reporter.js'
import type { Transact } from './transact.js'

const BATCH = 1_000

export interface LeftOrdersDependencies {
  reporter: Reporter
  transact: Transact
  stopping: AbortSignal
}

export class LeftOrders {
  constructor(private readonly dependencies: LeftOrdersDependencies) {}

  /** Never rejects. */
  clearDeadlines(rule: SweptRule): Promise<void> {
    return this.clear(rule, 'deadlines', (left, transaction) => left.clearBatch(transaction, BATCH))
  }

  /** Clears times that pauses have stored. Never rejects. */
  clearPauses(rule: SweptRule): Promise<void> {
    return this.clear(rule, 'pauses', (left, transaction) => left.clearPauses(transaction, BATCH))
  }

  /** Counts deadlines on rows to which the rule does not apply: orders that left, or have not entered yet. */
  async count({ kind, row }: SweptRule): Promise<void> {
    const { left } = row
    if (!left) return
    const { reporter, transact } = this.dependencies
    reporter.left(kind, await transact(row, (transaction) => left.count(transaction)))
  }

  private async clear(
    { kind, row }: SweptRule,
    what: 'deadlines' | 'pauses',
    clearBatch: (left: LeftDeadlines, transaction: Transaction) => Promise<number>,
  ): Promise<void> {
    const { left } = row
    if (!left) return
    const { reporter, transact, stopping } = this.dependencies
    let cleared = 0
    try {
      for (let batch = BATCH; batch >= BATCH && !stopping.aborted; ) {
        batch = await transact(row, (transaction) => clearBatch(left, transaction))
        cleared += batch
      }
      reporter.cleared(kind, what, cleared)
    } catch (error) {
      if (cleared > 0) reporter.cleared(kind, what, cleared)
      if (!stopping.aborted && !isDatabaseTrouble(error)) reporter.notCleared(kind, what, error)
    }
  }
}
