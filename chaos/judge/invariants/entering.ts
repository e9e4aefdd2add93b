// Timers that start by themselves: whoever moves an order into `from`, by a model or by raw SQL, gives it a fresh deadline in the same change, and whoever
// moves it out takes the deadline away. `auto` and the trigger are judged alike, so they must do the same.

import type { Change, RuleFacts, Wish } from '../../history.js'
import { mayHaveShown } from '../clock.js'
import { type Breach, ofEachOrder } from '../invariant.js'
import { aftersOf, countsFrom, deadlineColumn, deadlineOf, enters, isHeld, isSame, keptOf, leaves } from '../rule-facts.js'
import type { Run } from '../run.js'
import { askedColumns, instantOf } from '../wish-fits.js'

/** A statement may wait for a row's lock after it has read the clock. */
const LOCK_WAIT_MS = 35_000

export const entering = ofEachOrder(
  'entering',
  'Under `auto` and the trigger, the change that brings an order into `from` gives it a deadline, counted from that statement, and the change that takes it out takes the deadline away.',
  function* ({ changes, rules, wishes }, { run }) {
    const wishOf = new Map(wishes.map((wish) => [wish.n, wish]))
    for (const rule of rules) {
      const column = deadlineColumn(rule)
      if (!rule.starts || column === undefined) continue
      for (const change of changes) {
        const wish = change.wish === undefined ? undefined : wishOf.get(change.wish)
        if (enters(rule, change)) yield* start(rule, change, wish, run)
        if (leaves(rule, change) && change.to) yield* end(rule, change, column)
      }
    }
  },
)

function* start(rule: RuleFacts, change: Change, wish: Wish | undefined, run: Run): Iterable<Breach> {
  const { to, at, trueAt } = change
  const deadline = deadlineOf(rule, to)
  const given = wish && instantOf(askedColumns(wish)[deadlineColumn(rule) as string])
  const feature = rule.starts as 'auto' | 'trigger'
  if (deadline === undefined) {
    const isPaused = isHeld(rule, to) && keptOf(rule, to) !== undefined // the trigger pauses in the same statement
    if (!isPaused) yield { message: `${rule.kind}: it came into "from" without a deadline`, evidence: { change }, feature }
  } else if (given !== undefined) {
    if (!isSame(given, deadline))
      yield { message: `${rule.kind}: it did not get the deadline that was written`, evidence: { change }, feature }
  } else {
    // A statement begins after its wish was made.
    const isAfter = (afterMs: number) => !wish || mayHaveShown(run, deadline - afterMs, wish.invokedAt, trueAt)
    if (!countsFrom(rule, deadline, at, LOCK_WAIT_MS) || !aftersOf(rule).some(isAfter)) {
      yield { message: `${rule.kind}: its deadline does not count from when it came into "from"`, evidence: { change, deadline }, feature }
    }
  }
}

function* end(rule: RuleFacts, change: Change, column: string): Iterable<Breach> {
  if (change.to?.[column] === undefined && keptOf(rule, change.to) === undefined) return
  yield { message: `${rule.kind}: it left "from" and kept its deadline`, evidence: { change }, feature: rule.starts as 'auto' | 'trigger' }
}
