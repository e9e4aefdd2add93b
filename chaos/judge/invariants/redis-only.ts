// Timers that Redis alone has (`deadline: false`, plain functions) are carried out at least once, unless Redis lost its data meanwhile.

import type { RuleFacts, Wish } from '../../history.js'
import { leaves } from '../explanation.js'
import { type Breach, ofEachOrder } from '../invariant.js'
import { type Order, SLACK_MS } from '../orders.js'
import { applies } from '../rule-facts.js'
import type { Run } from '../run.js'

/** By a call, or by another service that sets the key. */
const STARTS = new Set<string>(['schedule', 'setKey'])
const CALLS = new Set<string>([...STARTS, 'extend', 'cancel'])

export const redisOnly = ofEachOrder(
  'redis-only',
  'A timer that Redis alone has and whose arming was acknowledged is carried out at least once, unless Redis lost data meanwhile; a function is called for no id that was never scheduled.',
  function* (order, { run }) {
    for (const rule of order.rules) {
      if (rule.deadline !== 'redis') continue
      const own = order.wishes.filter(({ kind, answer, call }) => kind === rule.kind && answer !== 'refused' && CALLS.has(call))
      for (const [index, wish] of own.entries()) yield* ofWish(order, rule, wish, own.slice(index + 1), run)
      const called = order.deliveries.find(({ what, kind }) => what === 'handler' && kind === rule.kind)
      if (called && !own.some(({ call, invokedAt }) => STARTS.has(call) && invokedAt <= called.at + SLACK_MS)) {
        yield { message: `${rule.kind} was called for an id that was never scheduled`, evidence: { called } }
      }
    }
  },
)

function* ofWish(order: Order, rule: RuleFacts, wish: Wish, later: readonly Wish[], run: Run): Iterable<Breach> {
  const { got, answer, completedAt, invokedAt } = wish
  if (answer !== 'ok' || wish.call === 'cancel' || got?.deadline == null || got.armed !== true) return
  if (later.length > 0) return // the later call may have taken the timer's place
  if (got.deadline > run.endedAt - run.sweepMs) return
  const done = carriedOutAt(order, rule, invokedAt)
  if (done !== undefined) return
  const isLost = run.losses.some(({ endedAt }) => endedAt >= invokedAt)
  if (isLost || hasLeft(order, rule, completedAt)) return
  yield {
    message: `${rule.kind} was never carried out, though Redis had its timer and lost nothing`,
    evidence: { wish, changes: order.changes },
  }
}

function carriedOutAt({ settlements, deliveries }: Order, rule: RuleFacts, afterMs: number): number | undefined {
  const settled = settlements.find((each) => each.rule === rule && each.change.trueAt >= afterMs - SLACK_MS)?.change.trueAt
  return (
    settled ??
    deliveries.find(
      ({ what, kind, at, outcome }) => what === 'handler' && outcome === 'done' && kind === rule.kind && at >= afterMs - SLACK_MS,
    )?.at
  )
}

/** A transition without a deadline on the row is guarded by the status: an order that has left is not carried out. */
function hasLeft({ changes }: Order, rule: RuleFacts, sinceMs: number): boolean {
  const last = changes.at(-1)
  if (rule.table === null) return false
  return !applies(rule, last?.to) || changes.some((change) => change.trueAt >= sinceMs - SLACK_MS && leaves(rule, change))
}
