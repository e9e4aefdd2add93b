// `afterCommit` is called for each settled order, under one key for each settlement, and for no other order.

import type { Change, Delivery } from '../../history.js'
import { type Breach, ofEachOrder } from '../invariant.js'
import { type Order, type Settlement, SLACK_MS } from '../orders.js'
import { STATUS, wholeMs } from '../rule-facts.js'

export const afterCommit = ofEachOrder(
  'after-commit',
  'With `history`, `afterCommit` succeeds at least once for each settled order, always under the key of that settlement and with the order as it left it; without it, it is called once at most. It is never called for what was not settled.',
  function* (order) {
    const { settlements, deliveries, recorded } = order
    const delivered = deliveries.filter(({ what }) => what === 'afterCommit')
    const keys = new Map<string, Settlement>()
    for (const settlement of settlements) {
      const { rule, change } = settlement
      if (!rule.afterCommit) continue
      const key = keyOf(order, settlement)
      keys.set(key, settlement)
      const own = delivered.filter((delivery) => delivery.key === key)
      const early = own.find(({ at }) => at < change.trueAt - SLACK_MS)
      if (early) yield breach(`${rule.kind}: "afterCommit" was called before the settlement`, { change, early })
      const strange = own.find(({ status }) => status !== undefined && !hadSince(order, change, status))
      if (strange) yield breach(`${rule.kind}: "afterCommit" was given an order of status ${strange.status}`, { change, strange })
      if (!rule.history) {
        if (own.length > 1) yield breach(`${rule.kind}: "afterCommit" was called ${own.length} times without a history`, { change, own })
        continue
      }
      if (own.some(({ outcome }) => outcome === 'done') || isGivenUp(order, settlement)) continue
      yield breach(`${rule.kind}: "afterCommit" was never carried out`, { change, own, recorded })
    }
    yield* others(order, delivered, keys)
  },
)

/** Whether the settlement, or a change after it, gave the order this status. */
function hadSince({ changes }: Order, { n }: Change, status: string): boolean {
  return changes.some((each) => each.n >= n && String(each.to?.[STATUS]) === status)
}

function* others({ rules, settlements }: Order, delivered: readonly Delivery[], keys: ReadonlyMap<string, Settlement>): Iterable<Breach> {
  for (const delivery of delivered) {
    if (!rules.some(({ kind }) => kind === delivery.kind)) continue
    if (delivery.key === null || !keys.has(delivery.key)) {
      yield breach(`${delivery.kind}: "afterCommit" was called under a key of no settlement`, { delivery, settlements })
    }
  }
}

/** `kind:id:deadline`: what a settlement of a deadline on the row is known by. */
function keyOf({ id }: Order, { rule, deadline }: Settlement): string {
  return `${rule.kind}:${id}:${deadline === undefined ? '' : wholeMs(deadline)}`
}

/** After so many attempts the package gives up, and says so in the history. */
function isGivenUp({ recorded }: Order, { rule, deadline }: Settlement): boolean {
  return recorded.some(
    ({ kind, reminder, deadline: of, nextTry, attempts }) =>
      kind === rule.kind && reminder === '' && nextTry === null && attempts >= rule.attempts && Math.abs((of ?? 0) - (deadline ?? 0)) <= 1,
  )
}

function breach(message: string, evidence: Record<string, unknown>): Breach {
  return { message, evidence, feature: 'afterCommit' }
}
