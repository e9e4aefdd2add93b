// A reminder is given once at most for each deadline, and only of a deadline that stood on the row of an order that was still waiting for it.

import type { Delivery, RuleFacts } from '../../history.js'
import { trueTimes } from '../clock.js'
import { type Breach, ofEachOrder } from '../invariant.js'
import { isWorker, type Order, ruleKind } from '../orders.js'
import { applies, deadlineOf, isHeld, isSame } from '../rule-facts.js'
import type { Run } from '../run.js'

/** From the commit of a reminder's row to the call of its function, in a process that is not frozen; and to the row's own commit. */
const CALL_MS = 6_000

export const reminders = ofEachOrder(
  'reminders',
  'A reminder is given at most once for each deadline; when it was committed, the order was still waiting for that deadline, neither paused nor gone, and the deadline was at most `before` away.',
  function* (order, { run }) {
    const given = order.deliveries.filter(({ what }) => what === 'reminder')
    const keys = new Set<string>()
    for (const delivery of given) {
      if (keys.has(String(delivery.key))) yield breach('was given twice for one deadline', { delivery, given })
      keys.add(String(delivery.key))
      const rule = order.rules.find(({ kind }) => kind === ruleKind(delivery.kind))
      if (rule) yield* ofDelivery(order, rule, delivery)
    }
    yield* ofRecorded(order, run)
  },
)

/** The history's row is written in the transaction that looked at the order's row. */
function* ofRecorded({ recorded, changes, rules }: Order, run: Run): Iterable<Breach> {
  const seen = new Set<string>()
  for (const row of recorded) {
    const rule = rules.find(({ kind }) => kind === row.kind)
    if (row.reminder === '' || !rule) continue
    const name = `${row.reminder} ${row.deadline}`
    if (seen.has(name)) yield breach('has two rows for one deadline', { row })
    seen.add(name)
    const writtenAt = trueTimes(run, row.settledAt)
    const states = changes.flatMap(({ to, trueAt }, index) => {
      const until = changes[index + 1]?.trueAt ?? Number.POSITIVE_INFINITY
      return writtenAt.some((at) => trueAt <= at + 2 && until >= at - CALL_MS) ? [to] : []
    })
    const waits = states.filter((state) => applies(rule, state) && isSame(deadlineOf(rule, state), row.deadline) && !isHeld(rule, state))
    if (changes.length > 0 && waits.length === 0)
      yield breach('was given to an order that was not waiting for that deadline', { row, states })
    const beforeMs = rule.reminders?.find(({ before }) => before === row.reminder)?.beforeMs
    if (beforeMs !== undefined && row.deadline !== null && row.settledAt < row.deadline - beforeMs - 2) {
      yield breach('was given too early', { row })
    }
  }
}

function* ofDelivery({ changes }: Order, rule: RuleFacts, delivery: Delivery): Iterable<Breach> {
  if (changes.length === 0 || delivery.deadline === undefined) return
  const isReal = changes.some(({ to, trueAt }) => trueAt <= delivery.at + CALL_MS && isSame(deadlineOf(rule, to), delivery.deadline))
  if (!isReal) yield breach('names a deadline that never was on the row', { delivery, changes })
  if (delivery.status !== undefined && rule.from && !rule.from.includes(delivery.status))
    yield breach(`was given an order of status ${delivery.status}`, { delivery })
  if (isWorker(delivery.by)) return
  yield breach('was given by a process that is no worker', { delivery })
}

function breach(message: string, evidence: Record<string, unknown>): Breach {
  return { message: `a reminder ${message}`, evidence, feature: 'reminders' }
}
