// One read of the database at a time for all pages together, so that the page uses at most one connection of the shop's pool. Reads that would wait
// too long are refused. Background reads begin only while no other read runs.

import { setTimeout as delay } from 'node:timers/promises'
import { within } from '../wait.js'
import { Refusal } from '../web/refusal.js'

const WAIT_MS = 4_000
const MOST_WAITING = 100

/** A page needs several reads, one after the other. */
const QUIET_MS = 50

export class Turn {
  private last: Promise<unknown> = Promise.resolve()
  private waiting = 0
  private endedAt = Number.NEGATIVE_INFINITY

  /** @throws Refusal 503, and what `work` throws */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.waiting >= MOST_WAITING) throw busy()
    this.waiting += 1
    const before = this.last
    let end = () => {}
    // A read that gives up keeps its place in the queue, which is skipped when it comes.
    const own = new Promise<void>((resolve) => {
      end = resolve
    })
    this.last = before.then(() => own)
    try {
      if (
        (await within(
          WAIT_MS,
          before.then(() => true),
        )) === undefined
      )
        throw busy()
      return await work()
    } finally {
      this.waiting -= 1
      this.endedAt = performance.now()
      end()
    }
  }

  /** The same for background reads. @throws what `work` throws */
  async takeWhenQuiet<T>(work: () => Promise<T>): Promise<T> {
    while (this.waiting > 0 || performance.now() - this.endedAt < QUIET_MS) await delay(QUIET_MS, undefined, { ref: false })
    return this.take(work)
  }
}

function busy(): Refusal {
  return new Refusal(503, 'BUSY', 'the database is slow now, and others wait for it already; try again in a moment')
}
