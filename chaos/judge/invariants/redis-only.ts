// Timers that Redis alone has (`deadline: false`, plain functions) are carried out at least once, unless Redis lost its data meanwhile.

import type { RuleFacts, Wish } from '../../history.js'
import { type Breach, ofEachOrder } from '../invariant.js'
import { type Order, SLACK_MS } from '../orders.js'
import { applies, leaves } from '../rule-facts.js'
import type { Run } from '../run.js'

/** By a call, or by another service that sets the key. */
const STARTS = new Set<string>(['schedule', 'setKey'])
const CALLS = new Set<string>([...STARTS, 'extend', 'cancel'])

/** The shop reckons with what it knows of Redis's clock: it may be off by half of a round trip, on a link that is slow. */
const READING_MS = 300

export const redisOnly = ofEachOrder(
  'redis-only',
  'A timer that Redis alone has and whose arming was acknowledged is carried out at least once, unless Redis lost data meanwhile; it is carried out for no id that was never scheduled, and not before the earliest deadline that the id was given.',
  function* (order, { run }) {
    for (const rule of order.rules) {
      if (rule.deadline !== 'redis') continue
      const own = order.wishes.filter(({ kind, answer, call }) => kind === rule.kind && answer !== 'refused' && CALLS.has(call))
      for (const [index, wish] of own.entries()) yield* ofWish(order, rule, wish, own.slice(index + 1), run)
      yield* early(order, rule, own, run)
    }
  },
)

/** Carried out before it can have been due, by the clock that was moved furthest. */
function* early(order: Order, rule: RuleFacts, own: readonly Wish[], { clockMoves, slowdown }: Run): Iterable<Breach> {
  const first = firstCarriedOut(order, rule)
  if (first === undefined) return
  const starts = own.filter(({ call, invokedAt }) => STARTS.has(call) && invokedAt <= first + SLACK_MS)
  const evidence = { carriedOutAt: first, wishes: own }
  if (starts.length === 0) {
    yield { message: `${rule.kind} was carried out for an id that was never scheduled`, evidence }
    return
  }
  const dueAt = Math.min(...starts.map(({ invokedAt, asked }) => Number(asked.at ?? invokedAt + Number(asked.after ?? rule.afterMs))))
  const movedMs = Math.max(0, ...clockMoves.map(({ offsetMs }) => Math.abs(offsetMs)))
  if (first >= dueAt - movedMs - READING_MS * slowdown) return
  yield { message: `${rule.kind} was carried out ${Math.round(dueAt - first)} ms before its first deadline`, evidence }
}

function firstCarriedOut({ settlements, deliveries }: Order, rule: RuleFacts): number | undefined {
  const instants = [
    ...settlements.flatMap((each) => (each.rule === rule ? [each.change.trueAt] : [])),
    ...deliveries.flatMap(({ what, kind, at }) => (what === 'handler' && kind === rule.kind ? [at] : [])),
  ]
  return instants.length > 0 ? Math.min(...instants) : undefined
}

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
