// What must happen in a run at least once, so that its silence means something: a run without a refused extension has not tried the limit.

import { FEATURES, type Feature } from '../history.js'
import { explain } from './explanation.js'
import type { Case } from './orders.js'
import { deadlineOf } from './rule-facts.js'
import { workerCause } from './worker-causes.js'

/** How many orders there were of each feature: those that were made for it, and those whose rules have it. */
export function countFeatures({ orders }: Case): Record<Feature, number> {
  const counts = Object.fromEntries(FEATURES.map((feature) => [feature, 0])) as Record<Feature, number>
  for (const { wishes, rules } of orders) {
    const kinds = new Set(wishes.map(({ kind }) => kind))
    const tried = new Set([
      ...wishes.map(({ feature }) => feature),
      ...rules.filter(({ kind }) => kinds.has(kind)).flatMap(({ features }) => features),
    ])
    for (const feature of tried) counts[feature] += 1
  }
  return counts
}

/** Moments that prove that an invariant had something to judge. */
export function countSometimes(found: Case): Record<string, number> {
  const { run, orders } = found
  const settled = orders.flatMap(({ settlements }) => settlements)
  const wishes = orders.flatMap((order) => order.wishes)
  const refused = (code: string) => wishes.filter(({ got }) => got?.code === `ERR_ORDER_TIMERS_${code}`).length
  const delivered = (what: string, outcome: string) =>
    run.deliveries.filter((each) => each.what === what && each.outcome === outcome).length
  const byWorker = (cause: string) =>
    orders.reduce((sum, { rules, changes }) => sum + changes.filter((change) => workerCause(rules, change) === cause).length, 0)
  const broughtBy = (path: string) => run.told.filter(({ event, details }) => event === 'settled' && details?.via === path).length
  const counts: Record<string, number> = {
    'the alarm brought what was settled': broughtBy('alarm'),
    'the sweep brought what was settled': broughtBy('sweep'),
    'an answer was unknown': wishes.filter(({ answer }) => answer === 'unknown').length,
    'an unknown wish was carried out': orders.reduce((sum, order) => sum + unknownCarriedOut(order, run), 0),
    'two shops acted on one order': orders.filter(({ wishes: own }) => new Set(own.map(({ process }) => process)).size > 1).length,
    'an extension was refused by its limit': refused('EXTENSION_LIMIT'),
    'a call came after the order had left': refused('ORDER_NOT_IN_FROM'),
    'a settlement started the next timer': settled.filter(({ rule }) => rule.next !== undefined).length,
    '"run" took effect': run.effects.length,
    '"afterCommit" failed and was called again': delivered('afterCommit', 'failed'),
    'a reminder was given': delivered('reminder', 'done'),
    'a function was called': delivered('handler', 'done'),
    'a deadline was backfilled': byWorker('backfill'),
    'a declared pause began': byWorker('declared pause'),
    'a declared pause ended': byWorker('declared resume'),
    'a brake stopped its rule': run.told.filter(({ event }) => event === 'brake').length,
    'a transaction of the CLS namespace took effect': wishes.filter(({ feature, answer }) => feature === 'cls' && answer === 'ok').length,
    'a rule that settles nothing said what it would settle': run.told.filter(({ event }) => event === 'dryRun').length,
    '"remaining" found a timer': wishes.filter(({ got }) => typeof got?.remaining === 'number').length,
    '"remaining" found none': wishes.filter(({ got }) => got?.remaining === null).length,
    '"list" found a timer': wishes.filter(({ got }) => (got?.list?.length ?? 0) > 0).length,
    '"list" found none': wishes.filter(({ got }) => got?.list?.length === 0).length,
    'a stale order was left alone': orders.filter((order) => hasStale(order, run.endedAt)).length,
  }
  return counts
}

function unknownCarriedOut(order: Case['orders'][number], run: Case['run']): number {
  return [...explain(order, run).wishOf.values()].filter(({ answer }) => answer === 'unknown').length
}

function hasStale({ rules, changes }: Case['orders'][number], nowMs: number): boolean {
  const row = changes.at(-1)?.to
  return rules.some((rule) => {
    const deadline = deadlineOf(rule, row)
    return deadline !== undefined && nowMs - deadline > rule.staleAfterMs
  })
}
