// The pending timers of many orders at once, for pages that list orders: one statement for each rule, or one pipeline if the deadlines are in
// Redis alone. An order without a timer has no entry, and neither has an id without an order.

import type { Transaction } from 'sequelize'
import { OrderTimersError, refuseUnknownOptions } from '../errors.js'
import { REQUEST_WAIT_MS } from '../redis/arming.js'
import type { RowRule } from '../rows/row-rule.js'
import { isSwept, type ShopRule } from '../rules/rule.js'
import { REDIS_SHARE_MS, withinCall } from '../sequelize/call-connection.js'
import { callTransaction } from '../sequelize/call-transaction.js'
import type { ListedTimer, OrderOrId, WriteOptions } from '../types.js'
import { idOf, invalidId, isAbout, plainId } from './order-id.js'
import { listedTimer } from './pending.js'
import type { Runtime, RuntimeRedis } from './runtime.js'

/** The maximum number of orders in one call. */
const MOST_ORDERS = 1_000

type Pending = ReadonlyMap<string, ListedTimer>

/** @returns for each order, in the same order, the remaining milliseconds, or null */
export async function remainingOf(
  runtime: Runtime,
  kind: string,
  orders: readonly OrderOrId[],
  options: WriteOptions,
): Promise<(number | null)[]> {
  const rule = runtime.rule(kind)
  refuseUnknownOptions(`orderTimers: ${kind}`, options, ['transaction'])
  refuseTooMany(kind, orders)
  const ids = Array.from(orders, (order, index) => idOf(rule, order, `${kind}: orders[${index}]`))
  const redis = isSwept(rule) ? undefined : runtime.requireRedis(kind)
  const pending = await allPending(rule, await pendingOnRows(rule, ids, options, performance.now()), redis)
  return ids.map((id) => pending.get(id)?.remaining ?? null)
}

/** @returns for each order, in the same order, its timers under all rules, soonest first */
export async function listOf(runtime: Runtime, orders: readonly OrderOrId[], options: WriteOptions): Promise<ListedTimer[][]> {
  refuseUnknownOptions('orderTimers: list', options, ['transaction'])
  refuseTooMany('list', orders)
  const rules = runtime.rules()
  const fitting = rules.map((rule) => Array.from(orders, (order) => (isAbout(rule, order) ? rule.parseId(plainId(order)) : null)))
  for (const [index, order] of orders.entries()) {
    if (fitting.every((ids) => ids[index] === null)) throw invalidId(`list: orders[${index}]`, order)
  }
  const listed: ListedTimer[][] = Array.from(orders, () => [])
  const startedAt = performance.now()
  const found: Found[] = []
  for (const [number, rule] of rules.entries()) {
    const ids = (fitting[number] as (string | null)[]).filter((id) => id !== null)
    found.push(await pendingOnRows(rule, ids, options, startedAt)) // one after the other, since a transaction has one connection
  }
  const pending = await Promise.all(rules.map((rule, number) => allPending(rule, found[number] as Found, runtime.redis)))
  for (const [number, ids] of fitting.entries()) {
    for (const [index, id] of ids.entries()) {
      const timer = id === null ? undefined : pending[number]?.get(id)
      if (timer) listed[index]?.push(timer)
    }
  }
  for (const timers of listed) timers.sort((a, b) => a.deadline.getTime() - b.deadline.getTime())
  return listed
}

/** The rows' timers under one rule, and the ids whose deadlines are in Redis. */
interface Found {
  pending: Pending
  inRedis: readonly string[]
}

async function pendingOnRows(rule: ShopRule, ids: readonly string[], options: WriteOptions, startedAt: number): Promise<Found> {
  const distinct = [...new Set(ids)]
  const { kind, row } = rule
  const transaction = callTransaction(`orderTimers: ${kind}`, options.transaction, row?.guard.table.sequelize)
  if (!row || distinct.length === 0) return { pending: new Map(), inRedis: distinct }
  const pending = await pendingRows(row, kind, distinct, transaction, startedAt)
  return row.deadline.in !== 'redis' ? { pending, inRedis: [] } : { pending: new Map(), inRedis: distinct.filter((id) => pending.has(id)) }
}

/** By id, under one rule. @param redis without it, rules whose deadlines are only in Redis have no timers */
async function allPending({ kind }: ShopRule, { pending, inRedis }: Found, redis: RuntimeRedis | undefined): Promise<Pending> {
  if (!redis || inRedis.length === 0) return pending
  const deadlines = await redis.index.deadlines(kind, inRedis, REQUEST_WAIT_MS)
  const now = await redis.clock.now()
  return new Map([...deadlines].map(([id, deadline]) => [id, listedTimer(kind, id, deadline, Math.max(0, deadline - now))]))
}

/** The orders that the rule applies to. For a rule with deadlines on the row only those that have one. */
async function pendingRows(
  row: RowRule,
  kind: string,
  ids: readonly string[],
  transaction: Transaction | undefined,
  startedAt: number,
): Promise<Pending> {
  const ask = (within: Transaction) => row.states.findAll(ids, within)
  const states = await withinCall(row.guard.table.sequelize, transaction, startedAt - REDIS_SHARE_MS, ask)
  const timers = new Map<string, ListedTimer>()
  for (const [id, { inFrom, deadline, remainingMs }] of states) {
    if (inFrom && (deadline !== null || row.deadline.in === 'redis')) timers.set(id, listedTimer(kind, id, deadline ?? 0, remainingMs ?? 0))
  }
  return timers
}

function refuseTooMany(where: string, orders: readonly OrderOrId[]): void {
  if (orders.length <= MOST_ORDERS) return
  const remedy = 'call it for a page of them at a time'
  throw new OrderTimersError(
    'INVALID_OPTION',
    `orderTimers: ${where}: orders must be ${MOST_ORDERS} at most, got ${orders.length}; ${remedy}`,
  )
}
