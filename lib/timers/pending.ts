// The pending timers of one order, under one rule or under all.

import { refuseUnknownOptions } from '../errors.js'
import { REQUEST_WAIT_MS } from '../redis/arming.js'
import type { ShopRule } from '../rules/rule.js'
import { REDIS_SHARE_MS, withinCall } from '../sequelize/call-connection.js'
import { callTransaction } from '../sequelize/call-transaction.js'
import type { ListedTimer, OrderOrId, WriteOptions } from '../types.js'
import { invalidId, isAbout, plainId } from './order-id.js'
import type { Runtime } from './runtime.js'

export async function listTimers(runtime: Runtime, order: OrderOrId, options: WriteOptions): Promise<ListedTimer[]> {
  refuseUnknownOptions('orderTimers: list', options, ['transaction'])
  const fitting = runtime.rules().flatMap((rule) => {
    const id = isAbout(rule, order) ? rule.parseId(plainId(order)) : null
    return id === null ? [] : [{ rule, id }]
  })
  if (fitting.length === 0) throw invalidId('list', order)
  const timers: ListedTimer[] = []
  const inRedis: ShopRule[] = []
  const startedAt = performance.now()
  for (const { rule, id } of fitting) {
    const found = await pendingOnRow(rule, id, options, startedAt) // one after the other, since a transaction has one connection
    if (found === 'in Redis') inRedis.push(rule)
    else if (found) timers.push(found)
  }
  const id = plainId(order)
  const others = await Promise.all(inRedis.map((rule) => pendingInRedis(runtime, rule, rule.parseId(id) as string)))
  return [...timers, ...others.filter((timer) => timer !== undefined)].sort((a, b) => a.deadline.getTime() - b.deadline.getTime())
}

/** The order's timer under one rule. @throws OrderTimersError REDIS_UNAVAILABLE if Redis alone has its deadline and does not answer */
export async function pendingTimer(runtime: Runtime, rule: ShopRule, id: string, options: WriteOptions): Promise<ListedTimer | undefined> {
  const found = await pendingOnRow(rule, id, options, performance.now())
  return found === 'in Redis' ? pendingInRedis(runtime, rule, id) : found
}

/** The row's timer, if the row has the deadline. */
async function pendingOnRow(
  { kind, row }: ShopRule,
  id: string,
  options: WriteOptions,
  startedAt: number,
): Promise<ListedTimer | 'in Redis' | undefined> {
  const transaction = callTransaction(`orderTimers: ${kind}`, options.transaction, row?.guard.table.sequelize)
  if (!row) return 'in Redis'
  const state = await withinCall(row.guard.table.sequelize, transaction, startedAt - REDIS_SHARE_MS, (within) =>
    row.states.find(id, within),
  )
  if (!state?.inFrom) return undefined
  if (row.deadline.in === 'redis') return 'in Redis'
  return state.deadline === null ? undefined : listedTimer(kind, id, state.deadline, state.remainingMs as number)
}

async function pendingInRedis({ redis }: Runtime, { kind }: ShopRule, id: string): Promise<ListedTimer | undefined> {
  if (!redis) return undefined
  const deadline = await redis.index.deadline(kind, id, REQUEST_WAIT_MS)
  return deadline === undefined ? undefined : listedTimer(kind, id, deadline, Math.max(0, deadline - (await redis.clock.nowFor(id))))
}

export function listedTimer(kind: string, id: string, deadlineMs: number, remaining: number): ListedTimer {
  return { kind, id, deadline: new Date(deadlineMs), remaining }
}
