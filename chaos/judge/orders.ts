// The run by orders: the changes of each row in their order, the wishes about it, and which change was a settlement. Every invariant reads this.

import type { Change, Delivery, Effect, Feature, RuleFacts, Wish } from '../history.js'
import { applies, deadlineColumn, deadlineOf, STATUS } from './rule-facts.js'
import type { Recorded, Run } from './run.js'

/** A change by which a worker carried out a rule. */
export interface Settlement {
  rule: RuleFacts
  change: Change
  /** As it stood on the row before; undefined where there was none, or only Redis had it. */
  deadline: number | undefined
}

export interface Order {
  /** `table id`, or `kind id` where there is no table. */
  name: string
  table: string | null
  id: string
  feature: Feature
  /** The rules over its table; where there is none, the one of its kind. */
  rules: readonly RuleFacts[]
  changes: Change[]
  wishes: Wish[]
  settlements: Settlement[]
  deliveries: Delivery[]
  effects: Effect[]
  recorded: Recorded[]
}

/** The run, by orders. */
export interface Case {
  run: Run
  orders: readonly Order[]
  rule(kind: string): RuleFacts | undefined
}

export function isWorker(by: string): boolean {
  return by.startsWith('worker')
}

/** Clocks of processes on one machine may be apart by this much when they are compared. */
export const SLACK_MS = 100

export function caseOf(run: Run): Case {
  const rules = new Map(run.rules.map((rule) => [rule.kind, rule]))
  const orders = new Map<string, Order>()
  const ofTable = (table: string | null, kind: string) =>
    table === null ? run.rules.filter((rule) => rule.kind === kind) : run.rules.filter((rule) => rule.table === table)
  const order = (table: string | null, id: string, kind: string): Order => {
    const name = `${table ?? kind} ${id}`
    const known = orders.get(name)
    if (known) return known
    const created: Order = {
      name,
      table,
      id,
      feature: 'since',
      rules: ofTable(table, kind),
      changes: [],
      wishes: [],
      settlements: [],
      deliveries: [],
      effects: [],
      recorded: [],
    }
    orders.set(name, created)
    return created
  }
  const ofKind = (kind: string, id: string) => order(rules.get(kind)?.table ?? null, id, kind)

  for (const change of run.changes) order(change.table, change.id, '').changes.push(change)
  const orderOfWish = wishedOrders(run.changes)
  for (const wish of run.wishes) {
    const id = wish.id ?? orderOfWish.get(wish.n)
    if (id != null && wish.call !== 'release') order(wish.table, id, wish.kind).wishes.push(wish)
  }
  for (const effect of run.effects) ofKind(effect.kind, effect.id).effects.push(effect)
  for (const delivery of run.deliveries) ofKind(ruleKind(delivery.kind), delivery.id).deliveries.push(delivery)
  for (const recorded of run.recorded) ofKind(recorded.kind, recorded.id).recorded.push(recorded)

  const all = [...orders.values()]
  for (const found of all) {
    found.changes.sort((a, b) => a.n - b.n)
    found.wishes.sort((a, b) => a.invokedAt - b.invokedAt)
    found.deliveries.sort((a, b) => a.at - b.at)
    found.settlements = settlementsOf(found)
    found.feature = found.wishes[0]?.feature ?? found.rules[0]?.features[0] ?? 'since'
  }
  return { run, orders: all, rule: (kind) => rules.get(kind) }
}

/** The rule to which a reminder belongs; of another kind, the kind itself. */
export function ruleKind(kind: string): string {
  return kind.replace(/\.reminder-.*$/, '')
}

/** Rows whose creation was never answered: their ids are known by the column `wish` alone. */
function wishedOrders(changes: readonly Change[]): Map<number, string> {
  return new Map(changes.flatMap(({ wish, id, op }) => (wish !== undefined && op === 'insert' ? [[wish, id]] : [])))
}

function settlementsOf({ changes, rules, effects }: Order): Settlement[] {
  const found: Settlement[] = []
  for (const change of changes) {
    // What `run` writes to the row afterwards, in the same transaction, belongs to the settlement.
    if (!isWorker(change.by) || found.some((settlement) => settlement.change.txid === change.txid)) continue
    const rule = rules.find((each) => isSettlement(each, change, effects))
    if (rule) found.push({ rule, change, deadline: deadlineOf(rule, change.from) })
  }
  return found
}

/** A worker's change of a row to which the rule applied. Of an effect: its row was written with it, or the rule applies no more. */
function isSettlement(rule: RuleFacts, { from, to, txid }: Change, effects: readonly Effect[]): boolean {
  if (!applies(rule, from)) return false
  if (rule.to !== undefined) return String(to?.[STATUS]) === rule.to
  if (!applies(rule, to)) return true
  const column = deadlineColumn(rule)
  const cleared = column !== undefined && deadlineOf(rule, from) !== undefined && deadlineOf(rule, to) === undefined
  return cleared && effects.some((effect) => effect.txid === txid && effect.kind === rule.kind)
}
