// Which kinds are held, read at most every few seconds. If it cannot be read, the last answer stands; a kind that was never read, for example
// without the right, counts as not held.

import type { RowRule } from '../rows/row-rule.js'

const FRESH_MS = 5_000

interface Entry {
  isHeld: boolean
  readAt: number
  reading: Promise<void> | undefined
}

export class HeldKinds {
  private readonly entries = new Map<string, Entry>()

  constructor(private readonly freshMs = FRESH_MS) {}

  /** Waits only for a kind's first read. */
  async isHeld(kind: string, { holds }: RowRule): Promise<boolean> {
    const entry = this.entries.get(kind) ?? { isHeld: false, readAt: Number.NEGATIVE_INFINITY, reading: undefined }
    this.entries.set(kind, entry)
    const isFirst = entry.readAt === Number.NEGATIVE_INFINITY
    if (performance.now() - entry.readAt > this.freshMs) {
      entry.reading ??= holds
        .standing()
        .then((standing) => standing.length > 0)
        .catch(() => entry.isHeld)
        .then((isHeld) => void Object.assign(entry, { isHeld, readAt: performance.now(), reading: undefined }))
    }
    if (isFirst) await entry.reading
    return entry.isHeld
  }
}
