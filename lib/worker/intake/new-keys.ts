// Collects the keys of our kinds that get a TTL, as Redis publishes them. Other programs may cause a flood of such events, and so do our own timers: a name
// that begins otherwise is dropped at once, and the rest is looked at in batches, one at a time.

import { Rest } from './rest.js'

/** A burst costs a few calls, and no key is late that lives longer than this. */
const GATHER_MS = 10

/** Further names are left to the scan. */
const MOST_WAITING = 20_000

const BATCH = 1_000

export class NewKeys {
  private readonly waiting = new Set<string>()
  private readonly rest = new Rest()
  private looking: Promise<void> | undefined

  /**
   * @param beginnings of the keys of our kinds
   * @param look at these keys. If it rejects, they are left to the scan
   */
  constructor(
    private readonly beginnings: readonly string[],
    private readonly look: (names: readonly string[]) => Promise<void>,
  ) {}

  take(name: string): void {
    if (!this.beginnings.some((beginning) => name.startsWith(beginning)) || this.waiting.size >= MOST_WAITING) return
    this.waiting.add(name)
    this.looking ??= this.lookAtAll().finally(() => {
      this.looking = undefined
    })
  }

  async stop(): Promise<void> {
    this.rest.end()
    this.waiting.clear()
    await this.looking
  }

  private async lookAtAll(): Promise<void> {
    while (this.waiting.size > 0) {
      await this.rest.for(GATHER_MS)
      const batch: string[] = []
      for (const name of this.waiting) {
        this.waiting.delete(name)
        if (batch.push(name) === BATCH) break
      }
      if (batch.length > 0) await this.look(batch).catch(() => {})
    }
  }
}
