// Whether the number of overdue orders falls: then a worker settles them, and there is no alarm. A worker that starts after an outage has such a
// backlog.

import { MOST_OVERDUE } from '../rows/overdue-sql.js'
import type { OverdueOrders } from './database-look.js'

/** How old the reading is with which the present one is compared; after a longer pause it is the last one. */
const SPAN_MS = 15_000

interface Earlier {
  at: number
  count: number
  ageMs: number
}

/** How long ago they were read, milliseconds; 0 where that was for this reading. */
interface NotedOrders extends OverdueOrders {
  agoMs: number
}

export class Backlog {
  private readonly earlier = new Map<string, Earlier[]>()

  /** @param now milliseconds, from any beginning */
  constructor(private readonly now = () => performance.now()) {}

  /**
   * Adds the rules' overdue orders, once for each reading.
   * @param unread rules that this reading did not reach
   */
  note(found: readonly NotedOrders[], unread: readonly string[]): void {
    const at = this.now()
    const known = new Set([...found.map(({ kind }) => kind), ...unread])
    for (const kind of this.earlier.keys()) if (!known.has(kind)) this.earlier.delete(kind)
    for (const { kind, count, ageMs, agoMs } of found) {
      if (agoMs > 0) continue // it was added when it was read
      const before = this.earlier.get(kind) ?? []
      const recent = before.filter((one) => at - one.at <= SPAN_MS)
      this.earlier.set(kind, [...(recent.length > 0 ? recent : before.slice(-1)), { at, count, ageMs }])
    }
  }

  /** Fewer than some seconds ago, or the oldest one is younger. Orders that leave for other reasons do not make it younger for long. */
  shrinks({ kind, count, ageMs }: OverdueOrders): boolean {
    const [first] = this.earlier.get(kind) ?? []
    if (!first) return false
    return (count < first.count && first.count <= MOST_OVERDUE) || ageMs < first.ageMs - 1
  }
}
