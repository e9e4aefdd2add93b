// What is pending for one order under all rules, and what was given up.

import { refuseUnknownOptions } from './errors.js'
import { invalidId, isAbout, plainId } from './order-id.js'
import { REQUEST_PATIENCE_MS } from './redis/arming.js'
import type { BoundRule } from './rules/rule.js'
import type { Runtime } from './runtime.js'
import { withinCall } from './sequelize/call-connection.js'
import { callTransaction } from './sequelize/call-transaction.js'
import type { DeadLetter, ListedTimer, OrderOrId, WriteOptions } from './types.js'

export async function listTimers(runtime: Runtime, order: OrderOrId, options: WriteOptions): Promise<ListedTimer[]> {
  refuseUnknownOptions('orderTimers: list', options, ['transaction'])
  const fitting = runtime.rules().flatMap((rule) => {
    const id = isAbout(rule, order) ? rule.parseId(plainId(order)) : null
    return id === null ? [] : [{ rule, id }]
  })
  if (fitting.length === 0) throw invalidId('list', order)
  const timers: ListedTimer[] = []
  const startedAt = performance.now()
  for (const { rule, id } of fitting) {
    const timer = await pendingTimer(runtime, rule, id, options, startedAt) // one by one, as a transaction's connection takes them
    if (timer) timers.push(timer)
  }
  return timers.sort((a, b) => a.deadline.getTime() - b.deadline.getTime())
}

/** The order's timer under one rule. @throws OrderTimersError REDIS_UNAVAILABLE where Redis alone has it */
export async function pendingTimer(
  runtime: Runtime,
  rule: BoundRule,
  id: string,
  options: WriteOptions,
  startedAt = performance.now(),
): Promise<ListedTimer | undefined> {
  const { kind, row } = rule
  const listed = (deadline: number, remaining: number): ListedTimer => ({ kind, id, deadline: new Date(deadline), remaining })
  if (row) {
    const { sequelize } = row.guard.table
    const transaction = callTransaction(`orderTimers: ${kind}`, options.transaction, sequelize)
    const state = await withinCall(sequelize, transaction, startedAt, (within) => row.writes.find(id, within))
    if (!state?.inFrom) return undefined
    if (row.pending) return state.deadline === null ? undefined : listed(state.deadline, state.remainingMs as number)
  }
  if (!runtime.redis) return undefined
  const deadline = await runtime.redis.index.deadline(kind, id, REQUEST_PATIENCE_MS)
  return deadline === undefined ? undefined : listed(deadline, Math.max(0, deadline - (await runtime.redis.clock.now())))
}

export async function deadLetters(runtime: Runtime, kind: string | undefined): Promise<DeadLetter[]> {
  const rules = kind === undefined ? runtime.rules() : [runtime.rule(kind)]
  const { redis } = runtime
  if (!redis) return []
  const letters = await Promise.all(
    rules.map(async ({ kind }) => {
      const failures = await redis.index.dead(kind, REQUEST_PATIENCE_MS)
      return [...failures].map(([id, { error, attempts, at }]) => ({ kind, id, error, attempts, at: new Date(at) }))
    }),
  )
  return letters.flat().sort((a, b) => a.at.getTime() - b.at.getTime())
}
