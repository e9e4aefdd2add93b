// Reads what is overdue, page by page, oldest first. One worker of a prefix reads a rule at a time: each page is read under an advisory lock.

import type { Keyset, OverduePage as ReadPage, Stale } from '../../rows/pending-rows.js'
import { sweepLockName } from '../../rows/sweep-lock.js'
import type { SweptRule } from '../../rules/rule.js'
import type { Locked, SweepReads } from './reads.js'
import type { Transact } from './transact.js'

/** The largest page, in batches. It is large because each reading of many rows with one deadline sorts all of them. */
const MOST_BATCHES = 50

/** The last page also has the stale orders, which saves a transaction. */
export interface OverduePage extends ReadPage {
  stale?: Stale
}

export interface OverduePagesDependencies {
  reads: SweepReads
  transact: Transact
  stopping: AbortSignal
  /** Separates the locks of two shops in one database. */
  prefix: string
}

export class OverduePages {
  constructor(private readonly dependencies: OverduePagesDependencies) {}

  /**
   * Reads the next page while one is settled. The first pages are small, so that settling begins soon.
   * @param batchSize called before each page
   */
  async *read(rule: SweptRule, batchSize: () => number): AsyncGenerator<OverduePage> {
    const { reads, stopping } = this.dependencies
    const startedAt = performance.now()
    const locked = this.locked(rule)
    let batches = 1
    let reading = this.readPage(rule, locked.lock, { startedAt, limit: batches * batchSize() })
    try {
      while (!stopping.aborted) {
        const page = await reading
        if (!page.wasRead) await reads.heldUp(locked)
        else if (batches === 1) void reads.read(rule.kind)
        if (page.next) {
          batches = Math.min(4 * batches, MOST_BATCHES)
          reading = this.readPage(rule, locked.lock, { startedAt, after: page.next, limit: batches * batchSize() })
          reading.catch(() => {}) // thrown where it is awaited
        }
        yield page
        if (!page.next) break
      }
    } finally {
      await reading.catch(() => {})
    }
  }

  private readPage(
    { row }: SweptRule,
    lock: string,
    { startedAt, after, limit }: { startedAt: number; after?: Keyset; limit: number },
  ): Promise<OverduePage> {
    return this.dependencies.transact(row, async (transaction) => {
      const { pending } = row.deadline
      const page = await pending.overdue(transaction, { elapsedMs: performance.now() - startedAt, after, limit, lock })
      return page.next ? page : { ...page, stale: await pending.stale(transaction) }
    })
  }

  private locked({ kind, row }: SweptRule): Locked {
    const { prefix, transact } = this.dependencies
    const { sequelize, table } = row.guard.table
    return { kind, lock: sweepLockName(prefix, kind, table), sequelize, transact: (work) => transact(row, work) }
  }
}
