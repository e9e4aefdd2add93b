// The lane of each rule.

import type { BoundRule } from '../../rules/rule.js'
import { Lane } from './lane.js'

/** A rule without the shop's code claims one batch ahead. */
const AHEAD = 1

/** A batch of the shop's code that takes no longer than this, and no more than this part of the rule's timeout, may be followed by one twice as large. */
const QUICK_MS = 100
const QUICK_PARTS = 100

export class Lanes {
  private readonly byKind = new Map<string, Lane>()

  /** @param concurrency how many batches of a rule are settled at once */
  constructor(rules: Iterable<BoundRule>, concurrency: (rule: BoundRule) => number) {
    for (const rule of rules) {
      const { kind, runsOwnCode, batchSize, quickBatchSize = batchSize, timeoutMs } = rule
      const growing = { first: batchSize, most: quickBatchSize / batchSize, quickMs: Math.min(QUICK_MS, timeoutMs / QUICK_PARTS) }
      this.byKind.set(kind, new Lane(concurrency(rule), runsOwnCode ? 0 : AHEAD, growing))
    }
  }

  of({ kind }: BoundRule): Lane {
    return this.ofKind(kind)
  }

  ofKind(kind: string): Lane {
    const lane = this.byKind.get(kind)
    if (!lane) throw new TypeError(`no rule "${kind}" is settled here`)
    return lane
  }
}
