// The screen "Order": one order under each rule whose ids have its form: its row, its timer in Redis, who has locked it, how the rule
// failed on it, what was done by hand, what comes next, and which actions are possible.

import { type FailedReminder, failedReminders } from '../../admin/order-under-rule.js'
import { boundRule } from '../../admin/problem.js'
import type { Failure } from '../../redis/failed-timers.js'
import { type LockHolder, lockHolders } from '../../rows/lock-holders.js'
import { type HistoryEntry, historyOf, type OneOrder, oneOrder } from '../../rows/one-order.js'
import { CANNOT_SEE_LOCKS } from '../../rows/order-counts-sql.js'
import type { RowRule } from '../../rows/row-rule.js'
import type { ShopRule } from '../../rules/rule.js'
import { sqlStateOf } from '../../sequelize/fault-owner.js'
import type { Runtime } from '../../timers/runtime.js'
import { UNVERIFIED } from '../act-wish.js'
import type { AdminAction } from '../options.js'
import type { OrderReads } from '../order-reads.js'
import { type ShownHold, shownHold } from '../shown-hold.js'
import type { Columns, ShownOrders } from '../shown-orders.js'

const WAIT_MS = 1_000

/** What happens to the order next, as a code that the page translates. */
export type Next =
  | 'no row'
  | 'not applying'
  | 'no timer'
  | 'paused'
  | 'dead'
  | 'held'
  | 'rule held'
  | 'unverified'
  | 'stale'
  | 'braked'
  | 'dry run'
  | 'retrying'
  | 'locked'
  | 'overdue'
  | 'pending'

export interface OrderOfKind {
  kind: string
  id: string
  next: Next
  row: OneOrder | undefined
  /** The deadline in Redis's due index. */
  armedMs: number | null
  /** Undefined if Redis does not answer or is not used. */
  redisProblem: string | undefined
  failure: Failure | undefined
  /** The rule's reminders that failed on it. */
  reminders: FailedReminder[]
  lock: LockHolder | undefined
  /** The holds of the rule. */
  holds: ShownHold[]
  /** Under `verify`: the last answer, and when it is asked about again. */
  unverified: { nextMs: number; times: number; answer: string | null; error: string | null; reference: string | null } | undefined
  history: HistoryEntry[]
  columns: Columns
  acts: AdminAction[]
  problem: string | undefined
}

export interface OrderFound {
  id: string
  nowMs: number
  kinds: OrderOfKind[]
}

interface InRedis {
  armedMs: number | null
  failure: Failure | undefined
  redisProblem: string | undefined
}

export class OrderScreen {
  constructor(
    private readonly runtime: Runtime,
    private readonly reads: OrderReads,
    private readonly shown: ShownOrders,
  ) {}

  /** @param text an id, or the name of its key in Redis: `order_confirm:34` */
  async read(text: string): Promise<OrderFound> {
    const key = this.runtime.keys.parse(text)
    const isKey = key !== 'external' && this.runtime.kinds.includes(key.kind)
    const [kinds, pasted] = isKey ? [[key.kind], key.id] : [this.runtime.kinds, text]
    const found: OrderOfKind[] = []
    for (const kind of kinds) {
      const { rule, problem } = boundRule(this.runtime, kind)
      const id = rule ? rule.parseId(pasted) : null
      if (rule && id !== null) found.push(await this.under(rule, id))
      else if (problem) found.push({ ...nothing(kind, pasted), problem: problem.message })
    }
    return { id: pasted, nowMs: found.find(({ row }) => row)?.row?.now ?? Date.now(), kinds: found }
  }

  private async under(rule: ShopRule, id: string): Promise<OrderOfKind> {
    const { kind, row } = rule
    const inRedis = await this.inRedis(kind, id)
    const found: OrderOfKind = { ...nothing(kind, id), ...inRedis }
    found.reminders = await failedReminders(this.runtime, rule, id).catch(() => [])
    try {
      if (row) {
        const state = await this.state(row, id)
        const { holds, brakedAt } = await this.reads.stops({ row })
        found.holds = holds.map(shownHold)
        found.unverified = await this.unverified(row, id)
        found.row = state && row.deadline.in === 'redis' ? { ...state, deadline: inRedis.armedMs } : state
        found.next = nextOf(rule, state, { ...inRedis, ...found }, brakedAt !== null)
        if (state?.locked) [found.lock] = await this.reads.inTurn(() => lockHolders(row.guard, [id])).catch(() => [])
        found.history = await this.reads.within(row, (transaction) => historyOf(row, id, transaction)).catch(() => [])
        ;[found.columns = []] = state ? await this.shown.of([{ kind, id }]) : []
      } else found.next = inRedis.failure?.dead ? 'dead' : inRedis.armedMs === null ? 'no timer' : 'pending'
    } catch (error) {
      found.problem = (await this.reads.problem(rule, error)).message
    }
    if (inRedis.redisProblem && (!row || row.deadline.in === 'redis')) found.problem ??= inRedis.redisProblem // only Redis has the deadline
    found.acts = actsOn(rule, found)
    return found
  }

  private async unverified(row: RowRule, id: string): Promise<OrderOfKind['unverified']> {
    const { verification } = row
    const found = verification && (await this.reads.within(row, (within) => verification.unverified.of(id, within)).catch(() => undefined))
    if (!found) return undefined
    const { next, times, answer, error, reference } = found
    return { nextMs: next.getTime(), times, answer, error, reference }
  }

  private async state(row: RowRule, id: string): Promise<OneOrder | undefined> {
    const read = (seesLocks: boolean) => this.reads.within(row, (transaction) => oneOrder(row, id, transaction, seesLocks))
    try {
      return await read(true)
    } catch (error) {
      if (!CANNOT_SEE_LOCKS.includes(sqlStateOf(error) ?? '')) throw error
      return await read(false)
    }
  }

  private async inRedis(kind: string, id: string): Promise<InRedis> {
    const { redis } = this.runtime
    if (!redis) return { armedMs: null, failure: undefined, redisProblem: undefined }
    try {
      await redis.connection.connected(WAIT_MS)
      const [armedMs = null, failures] = await Promise.all([redis.index.deadline(kind, id, WAIT_MS), redis.failures.of(kind, [id])])
      return { armedMs, failure: failures.get(id), redisProblem: undefined }
    } catch (error) {
      return { armedMs: null, failure: undefined, redisProblem: (error as Error).message }
    }
  }
}

function nothing(kind: string, id: string): OrderOfKind {
  const base = {
    kind,
    id,
    next: 'no row' as const,
    row: undefined,
    armedMs: null,
    reminders: [],
    holds: [],
    history: [],
    columns: [],
    acts: [],
  }
  return { ...base, redisProblem: undefined, failure: undefined, lock: undefined, unverified: undefined, problem: undefined }
}

function nextOf(
  { row }: ShopRule,
  state: OneOrder | undefined,
  { failure, armedMs, holds, unverified }: OrderOfKind,
  braked: boolean,
): Next {
  if (!state) return 'no row'
  if (failure?.dead) return 'dead'
  if (!state.applies) return 'not applying'
  if (state.paused) return 'paused'
  const deadline = row?.deadline.in === 'redis' ? armedMs : state.deadline
  if (deadline === null) return 'no timer'
  if (!state.eligible) return 'held'
  if (row?.options.dryRun) return 'dry run'
  if (deadline > state.now) return 'pending'
  if (state.stale) return 'stale'
  if (holds.length > 0) return 'rule held'
  if (braked) return 'braked'
  if (unverified) return 'unverified'
  if (failure) return 'retrying'
  return state.locked ? 'locked' : 'overdue'
}

/** The actions that the page offers; whether they are possible is checked when they are carried out. */
function actsOn({ row }: ShopRule, { next, row: state, armedMs, failure }: OrderOfKind): AdminAction[] {
  const acts: AdminAction[] = []
  const deadline = row?.deadline
  const hasTimer = deadline === undefined || deadline.in === 'redis' ? armedMs !== null : state?.deadline != null
  if (deadline?.in !== 'since' && hasTimer && (state?.applies ?? true)) acts.push('extend', 'cancel')
  if (deadline?.in === 'column' && deadline.pause && !deadline.pause.while) {
    if (next === 'paused') acts.push('resume', 'cancel')
    else if (hasTimer && state?.applies) acts.push('pause')
  }
  const isDue = state?.deadline != null && state.deadline <= state.now
  if (hasTimer && (state?.applies ?? true) && (deadline?.in !== 'since' || isDue)) acts.push('settle')
  if (next === 'unverified') acts.push(UNVERIFIED)
  if (failure?.dead) acts.push('retry', 'discard')
  return acts
}
