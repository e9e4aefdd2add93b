// Counts that may have no index, so they run every ten minutes at most: orders without a deadline, deadlines of orders that have left, and times
// that pauses have stored on them.

import type { SweptRule } from '../../rules/rule.js'
import type { Reporter } from '../reporter.js'
import type { LeftOrders } from './left-orders.js'
import type { SweepReads } from './reads.js'
import type { Transact } from './transact.js'

const EVERY_MS = 10 * 60_000

/** The counts use at most this fraction of the time (1/n). */
const SHARE = 200

export class OccasionalCounts {
  private readonly nextAt = new Map<string, number>()

  constructor(
    private readonly reporter: Reporter,
    private readonly leftOrders: LeftOrders,
    private readonly transact: Transact,
    private readonly reads: SweepReads,
  ) {}

  async run(rule: SweptRule): Promise<void> {
    const { kind, row } = rule
    const startedAt = performance.now()
    if (startedAt < (this.nextAt.get(kind) ?? 0)) return
    const undated = await this.transact(row, (transaction) => row.deadline.pending.undated(transaction))
    await this.leftOrders.clearPauses(rule)
    await this.leftOrders.count(rule)
    const endedAt = performance.now()
    this.nextAt.set(kind, endedAt + Math.max(EVERY_MS, SHARE * (endedAt - startedAt)))
    this.reporter.undated(kind, undated)
    await this.reads.undated(kind, undated)
  }
}
