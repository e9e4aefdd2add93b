// Timers that start by themselves: whoever moves an order into `from`, by a model or by raw SQL, gives it a fresh deadline in the same change, and whoever
// moves it out takes the deadline away. `auto` and the trigger are judged alike, so they must do the same.

import type { Change, RuleFacts } from '../../history.js'
import { enters, leaves } from '../explanation.js'
import { type Breach, ofEachOrder } from '../invariant.js'
import { countsFrom, deadlineColumn, deadlineOf, isHeld, isSame, keptOf } from '../rule-facts.js'
import { askedColumns, instantOf } from '../wish-fits.js'

/** A statement may wait for a row's lock after it has read the clock. */
const LOCK_WAIT_MS = 35_000

export const entering = ofEachOrder(
  'entering',
  'Under `auto` and the trigger, the change that brings an order into `from` gives it a deadline, counted from that statement, and the change that takes it out takes the deadline away.',
  function* ({ changes, rules, wishes }) {
    const given = new Map(wishes.map((wish) => [wish.n, askedColumns(wish)]))
    for (const rule of rules) {
      const column = deadlineColumn(rule)
      if (!rule.starts || column === undefined) continue
      for (const change of changes) {
        const asked = change.wish === undefined ? undefined : given.get(change.wish)
        if (enters(rule, change)) yield* start(rule, change, instantOf(asked?.[column]))
        if (leaves(rule, change) && change.to) yield* end(rule, change, column)
      }
    }
  },
)

function* start(rule: RuleFacts, change: Change, given: number | undefined): Iterable<Breach> {
  const { to, at } = change
  const deadline = deadlineOf(rule, to)
  const feature = rule.starts as 'auto' | 'trigger'
  if (deadline === undefined) {
    const isPaused = isHeld(rule, to) && keptOf(rule, to) !== undefined // the trigger pauses in the same statement
    if (!isPaused) yield { message: `${rule.kind}: it came into "from" without a deadline`, evidence: { change }, feature }
  } else if (given !== undefined) {
    if (!isSame(given, deadline))
      yield { message: `${rule.kind}: it did not get the deadline that was written`, evidence: { change }, feature }
  } else {
    if (!countsFrom(rule, deadline, at, LOCK_WAIT_MS)) {
      yield { message: `${rule.kind}: its deadline does not count from when it came into "from"`, evidence: { change, deadline }, feature }
    }
  }
}

function* end(rule: RuleFacts, change: Change, column: string): Iterable<Breach> {
  if (change.to?.[column] === undefined && keptOf(rule, change.to) === undefined) return
  yield { message: `${rule.kind}: it left "from" and kept its deadline`, evidence: { change }, feature: rule.starts as 'auto' | 'trigger' }
}
