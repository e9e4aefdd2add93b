// The table of brakes counts every settlement, in the settling transaction: so what it allows is what was settled.

import type { RuleFacts, Wish } from '../../history.js'
import { latestClock } from '../clock.js'
import { anomaly, type Breach, type Invariant } from '../invariant.js'
import { type Case, SLACK_MS } from '../orders.js'
import type { BrakeChange, Run } from '../run.js'

export const brakeCount: Invariant = {
  name: 'brake-count',
  holds:
    'Each settlement of a rule with a brake is counted in its own transaction, never beyond `max` within a window of `per`; a stopped rule settles nothing until it is released.',
  judge: (found) =>
    found.run.rules.flatMap((rule) => {
      const changes = found.run.brakes.filter(({ kind }) => kind === rule.kind).sort((a, b) => a.n - b.n)
      if (!rule.brake || changes.length === 0) return []
      return [...breaches(found, rule, changes)].map((breach) => anomaly('brake-count', 'brake', rule.kind, breach))
    }),
}

function* breaches(found: Case, rule: RuleFacts, changes: readonly BrakeChange[]): Iterable<Breach> {
  const releases = found.run.wishes.filter(({ call, kind, answer }) => call === 'release' && kind === rule.kind && answer !== 'refused')
  const counted = new Map<string, number>()
  const stopped = new Set<string>()
  for (const change of changes) {
    yield* ofChange(rule, change, releases, found.run)
    const { txid, from, to } = change
    const before = from !== null && from.since === to.since ? from.settled : 0
    if (to.settled > before) counted.set(txid, (counted.get(txid) ?? 0) + to.settled - before)
    if (from?.braked) stopped.add(txid)
  }
  for (const [txid, settled] of settledByTransaction(found, rule)) {
    if (settled !== (counted.get(txid) ?? 0)) {
      yield { message: `${rule.kind} settled ${settled} and counted ${counted.get(txid) ?? 0} in one transaction`, evidence: { txid } }
    }
    if (stopped.has(txid)) yield { message: `${rule.kind} settled ${settled} although its brake had stopped it`, evidence: { txid } }
    counted.delete(txid)
  }
  for (const [txid, count] of counted) {
    yield { message: `${rule.kind} counted ${count} in a transaction that settled nothing`, evidence: { txid } }
  }
}

function* ofChange({ kind, brake }: RuleFacts, change: BrakeChange, releases: readonly Wish[], run: Run): Iterable<Breach> {
  const { from, to, trueAt, by, at } = change
  if (!brake) return
  if (to.settled > brake.max) yield { message: `${kind} counted ${to.settled}, of ${brake.max} at most`, evidence: { change } }
  if (!from) return
  const isReleased = releases.some(
    ({ process, invokedAt, completedAt, answer }) =>
      process === by && trueAt >= invokedAt - SLACK_MS && (answer === 'unknown' || trueAt <= completedAt + SLACK_MS),
  )
  if (from.braked && !to.braked && !isReleased) yield { message: `${kind} was released by nobody`, evidence: { change } }
  const isOver = latestClock(run, at, trueAt) >= from.since + brake.perMs - 1
  if (from.since !== to.since && !isReleased && !isOver) {
    yield { message: `${kind} began to count anew before its time had passed`, evidence: { change } }
  }
}

function settledByTransaction({ orders }: Case, rule: RuleFacts): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { settlements } of orders) {
    for (const { rule: of, change } of settlements) if (of === rule) counts.set(change.txid, (counts.get(change.txid) ?? 0) + 1)
  }
  return counts
}
