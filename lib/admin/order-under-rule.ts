// One order under one rule, from its row, Redis, the locks and the history. Reads only.

import type { Redis } from 'ioredis'
import type { HeldKind } from '../hold.js'
import type { Failure } from '../redis/failed-timers.js'
import { type HistoryEntry, historyOfOrder } from '../rows/history-reads.js'
import { type LockHolder, lockHolders } from '../rows/lock-holders.js'
import type { RowRule } from '../rows/row-rule.js'
import type { RowState } from '../rows/timer-state.js'
import type { UnverifiedOrder } from '../rows/unverified-orders.js'
import type { ShopRule } from '../rules/rule.js'
import { heldKind } from '../timers/hold.js'
import type { Runtime } from '../timers/runtime.js'
import { countOrders, ORDER_STATES, type OrderStates, statesOf } from './order-counts.js'
import { problemOf } from './problem.js'

const WAIT_MS = 2_000
const MOST_ENTRIES = 20

/** An order's state under a rule. `none`: the rule does not apply to its row; `gone`: there is no such row; `redis`: only Redis has its deadline. */
export type OrderState = keyof OrderStates | 'none' | 'gone' | 'redis'

export interface OrderInRedis {
  /** Its deadline in the due index; undefined if it is not armed. */
  armed: Date | undefined
  /** The remaining time of its key, milliseconds; -1 without expiry, -2 without a key. */
  keyMs: number
  /** The token of its claim, which begins with the worker's identity; undefined if nobody has claimed it. */
  claimedBy: string | undefined
  failure: Failure | undefined
}

export interface FailedReminder {
  kind: string
  failure: Failure
}

export interface OrderUnderRule {
  kind: string
  /** An order that was settled a moment later may still be here. */
  state: OrderState
  row: RowState | undefined
  /** Undefined if Redis does not answer or is not used. */
  redis: OrderInRedis | undefined
  /** The rule's reminders that failed on it. */
  reminders: FailedReminder[]
  lock: LockHolder | undefined
  brakedSince: Date | null
  dryRun: boolean
  /** Under `verify`: the last answer, and when it is asked about again; undefined if it does not wait for an answer. */
  unverified?: UnverifiedOrder | undefined
  /** The hold of the rule, or null. */
  hold: HeldKind | null
  /** The rule's `attempts`. */
  attempts: number
  /** What the rule applies to, in words. */
  appliesTo: string | undefined
  /** Newest first, 20 at most; undefined if the rule keeps none. */
  history: HistoryEntry[] | undefined
  /** Why something could not be read. */
  problem: string | undefined
}

/** Never rejects. */
export async function orderUnderRule(runtime: Runtime, rule: ShopRule, id: string): Promise<OrderUnderRule> {
  const { kind, row, attempts } = rule
  const found: OrderUnderRule = {
    ...{ kind, attempts, state: 'redis', row: undefined, lock: undefined, brakedSince: null, hold: null, history: undefined },
    ...{ appliesTo: row?.guard.inWords, dryRun: row?.options.dryRun ?? false, problem: undefined },
    redis: await inRedis(runtime, kind, id).catch(() => undefined),
    reminders: await failedReminders(runtime, rule, id).catch(() => []),
  }
  try {
    if (row) await readRow(row, id, found)
  } catch (error) {
    found.problem = (await problemOf(rule, error)).message
  }
  return found
}

/** @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error */
export async function failedReminders({ redis }: Runtime, { reminders }: ShopRule, id: string): Promise<FailedReminder[]> {
  const found: FailedReminder[] = []
  for (const { kind } of redis ? reminders : []) {
    const failure = (await redis?.failures.of(kind, [id]))?.get(id)
    if (failure) found.push({ kind, failure })
  }
  return found
}

async function readRow(row: RowRule, id: string, found: OrderUnderRule): Promise<void> {
  const { guard } = row
  found.row = await row.states.find(id, null)
  found.state = await stateOf(row, id, found)
  ;[found.lock] = await lockHolders(guard, [id]).catch(() => [])
  found.unverified = await row.verification?.unverified.of(id)
  const [hold] = await row.holds.standing()
  if (hold) found.hold = heldKind(found.kind, hold)
  if (row.brake) found.brakedSince = await row.brake.brakedAt()
  if (row.history) found.history = await historyOfOrder(guard.table, row.history.table, found.kind, id, MOST_ENTRIES)
}

async function stateOf(row: RowRule, id: string, { kind: _, redis, row: state }: OrderUnderRule): Promise<OrderState> {
  if (!state) return 'gone'
  if (row.deadline.in === 'redis') return state.inFrom ? 'redis' : 'none'
  const { failure } = redis ?? {}
  const failed = { dead: failure?.dead ? [id] : [], retrying: failure && !failure.dead ? [id] : [] }
  const states = statesOf(await countOrders(row, { days: 1, id, failed }))
  if (failure?.dead && !state.inFrom) return 'none'
  return ORDER_STATES.find((one) => (states[one] ?? 0) > 0) ?? 'none'
}

async function inRedis({ redis, keys }: Runtime, kind: string, id: string): Promise<OrderInRedis | undefined> {
  if (!redis) return undefined
  const { connection, index, failures } = redis
  const deadlineMs = await index.deadline(kind, id, WAIT_MS)
  const keyMs = await connection.run(WAIT_MS, (client) => client.pttl(keys.timer(kind, id)))
  const failure = (await failures.of(kind, [id])).get(id)
  const { leases, lease } = keys.sets(kind, keys.partitionOf(id))
  const tokens = await connection.run(WAIT_MS, (client) => client.zrange(leases, '0', '49'))
  const asked = (client: Redis) => Promise.all(tokens.map((token) => client.smismember(`${lease}${token}`, id)))
  const held = await connection.run(WAIT_MS, asked).catch(() => []) // a web process's user may lack the right
  const claimedBy = tokens.find((_, i) => held[i]?.[0] === 1)
  return { armed: deadlineMs === undefined ? undefined : new Date(deadlineMs), keyMs, claimedBy, failure }
}
