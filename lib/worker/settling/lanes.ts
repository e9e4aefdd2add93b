// The lane of each rule.

import type { BoundRule } from '../../rules/rule.js'
import { Lane } from './lane.js'

/** A rule without the shop's code claims one batch ahead. */
const AHEAD = 1

export class Lanes {
  private readonly byKind = new Map<string, Lane>()

  /** @param concurrency how many batches of a rule are settled at once */
  constructor(rules: Iterable<BoundRule>, concurrency: (rule: BoundRule) => number) {
    for (const rule of rules) this.byKind.set(rule.kind, new Lane(concurrency(rule), rule.runsOwnCode ? 0 : AHEAD))
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
