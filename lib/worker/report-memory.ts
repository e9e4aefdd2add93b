// What has been reported, so that not every sweep reports the same thing.

import type { SettledOrder } from '../rows/settlement.js'

const MINUTE_MS = 60_000

/** How many deadlines of dry runs are remembered. */
const MOST_DEADLINES = 100_000

export class ReportMemory {
  private readonly counts = new Map<string, number>()
  private readonly present = new Set<string>()
  private readonly reportedAt = new Map<string, number>()
  private readonly deadlines = new Map<string, number | null>()

  /** Whether a count is not 0 and differs from the last reported one. */
  hasChanged(what: string, count: number): boolean {
    const known = this.counts.get(what) ?? 0
    this.counts.set(what, count)
    return count !== 0 && count !== known
  }

  /** Whether this is the first time, or the first since `forget`. */
  isFirst(what: string): boolean {
    if (this.present.has(what)) return false
    this.present.add(what)
    return true
  }

  forget(what: string): void {
    this.present.delete(what)
  }

  /** Whether a minute has passed since this was last true. */
  isFirstInMinute(what: string): boolean {
    const now = performance.now()
    if (now < (this.reportedAt.get(what) ?? Number.NEGATIVE_INFINITY) + MINUTE_MS) return false
    this.reportedAt.set(what, now)
    return true
  }

  /** The orders whose deadlines are new; from now on they are known. */
  newDeadlines(kind: string, orders: readonly SettledOrder[]): SettledOrder[] {
    const fresh = orders.filter(({ id, deadline }) => this.deadlines.get(`${kind}:${id}`) !== deadline)
    if (this.deadlines.size > MOST_DEADLINES) this.deadlines.clear()
    for (const { id, deadline } of fresh) this.deadlines.set(`${kind}:${id}`, deadline)
    return fresh
  }
}
