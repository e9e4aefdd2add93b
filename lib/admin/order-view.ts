// `order-timers show ID`: one order under each rule that it may belong to, with what will happen next and the command that helps. Reads only.

import { OrderTimersError, show } from '../errors.js'
import type { ListedAction } from '../rows/actions-table.js'
import type { Runtime } from '../timers/runtime.js'
import { listActions } from './actions/list.js'
import { type Outlook, outlookOf } from './order-outlook.js'
import { type OrderUnderRule, orderUnderRule } from './order-under-rule.js'
import { boundRule } from './problem.js'
import { livingProcesses } from './processes.js'

const WAIT_MS = 2_000
const MOST_ACTIONS = 10

export interface OrderView {
  id: string
  rules: (OrderUnderRule & Outlook)[]
  /** Operators' actions on it, newest first; undefined if there is no table of actions, or it could not be read. */
  actions: ListedAction[] | undefined
  /** Whether a worker is alive; undefined if that is not known. */
  workerAlive: boolean | undefined
}

/**
 * @param kind only this rule
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_ID if it can be the id of no rule's order
 */
export async function viewOrder(runtime: Runtime, given: string, kind?: string): Promise<OrderView> {
  if (kind !== undefined) runtime.rule(kind)
  const bound = (kind === undefined ? runtime.kinds : [kind]).flatMap((one) => boundRule(runtime, one).rule ?? [])
  const fitting = bound.flatMap((rule) => {
    const id = rule.parseId(given)
    return id === null ? [] : [{ rule, id }]
  })
  const [first] = fitting
  // A rule that cannot be bound, and so knows no ids, says why.
  if (!first) for (const one of kind === undefined ? runtime.kinds : [kind]) runtime.rule(one)
  if (!first) throw new OrderTimersError('INVALID_ID', `order-timers: ${show(given)} is the id of no rule's order`)
  await runtime.redis?.connection.connected(WAIT_MS).catch(() => {})
  const { findings, redis, postgres } = await livingProcesses(runtime)
  const isKnown = redis === 'read' || postgres === 'read'
  const workerAlive = isKnown ? !findings.some(({ code }) => code === 'NO_WORKER') : undefined
  const rules: OrderView['rules'] = []
  for (const { rule, id } of fitting) {
    const found = await orderUnderRule(runtime, rule, id)
    rules.push({ ...found, ...outlookOf(found, { id, workerAlive, usesRedis: runtime.redis !== undefined }) })
  }
  const actions = await listActions(runtime, { order: first.id, limit: MOST_ACTIONS }).then(
    (page) => page.actions,
    () => undefined,
  )
  return { id: first.id, rules, actions, workerAlive }
}
