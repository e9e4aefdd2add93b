// Keys that another service sets for a rule whose deadline is on the row, where the row has none: the key expires and nothing is settled. That is
// counted, and told once a minute for each rule, since nobody else would ever notice.

import { show } from '../../errors.js'
import type { Log } from '../../logger.js'
import type { BoundRule } from '../../rules/rule.js'
import type { KindCounters } from './counters.js'

const EVERY_MS = 60_000

export class UndatedKeys {
  private readonly toldAt = new Map<string, number>()

  constructor(
    private readonly counters: ReadonlyMap<string, KindCounters>,
    private readonly log: Log,
  ) {}

  /** @param ids orders whose keys have expired, that are where the rule applies, and have no deadline */
  tell({ kind, row }: BoundRule, ids: readonly string[]): void {
    const counters = this.counters.get(kind)
    if (!counters || row?.deadline.in !== 'column' || ids.length === 0) return
    counters.undated += ids.length
    const now = performance.now()
    if (now < (this.toldAt.get(kind) ?? Number.NEGATIVE_INFINITY) + EVERY_MS) return
    this.toldAt.set(kind, now)
    const attribute = show(row.deadline.attribute)
    const what = `the key of ${row.guard.table.model.name} ${show(ids[0])} expired, but its row has no deadline (${attribute}), so it is not settled`
    const remedy = `write ${attribute} where the key is set, give the rule "backfill", or declare it with "since" or "deadline: false"`
    const count = counters.undated
    this.log('warn', `${kind}: ${what}; ${count} such keys since the worker started; ${remedy}`, {
      code: 'KEY_WITHOUT_DEADLINE',
      kind,
      id: ids[0],
      count,
    })
  }
}
