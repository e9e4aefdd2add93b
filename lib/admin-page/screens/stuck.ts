// The screen "Stuck": the orders of one rule that are due and not settled, by reason, page by page; and who has locked them, or what the rule
// threw.

import { keptFailures } from '../../admin/kept-failures.js'
import { boundRule } from '../../admin/problem.js'
import type { Failure } from '../../redis/failed-timers.js'
import { CAP } from '../../rows/cap.js'
import type { ListedState } from '../../rows/capped-orders-sql.js'
import { type LockHolder, lockHolders } from '../../rows/lock-holders.js'
import type { Runtime } from '../../timers/runtime.js'
import { Refusal } from '../../web/refusal.js'
import { isListed, type ListedRule, type OrderReads, type Place } from '../order-reads.js'
import type { ShownOrders } from '../shown-orders.js'

const PAGE = 50
const WAIT_MS = 1_000

export const STUCK_STATES = ['overdue', 'retrying', 'locked', 'dead', 'stale', 'held', 'unverified', 'undated'] as const

export type StuckState = (typeof STUCK_STATES)[number]

export interface StuckWish {
  /** A rule, or a reminder of one: its dead letters, and those that are tried again. */
  kind: string
  state: StuckState
  after: string | undefined
}

export interface StuckOrder {
  id: string
  deadlineMs: number | null
  columns: [string, string][]
  failure?: Failure & { stack?: string | undefined }
  lock?: LockHolder
}

export interface Stuck {
  kind: string
  state: StuckState
  nowMs: number
  orders: StuckOrder[]
  next: string | undefined
}

interface Found {
  orders: Omit<StuckOrder, 'columns'>[]
  next: string | undefined
  nowMs: number
}

export class StuckScreen {
  constructor(
    private readonly runtime: Runtime,
    private readonly reads: OrderReads,
    private readonly shown: ShownOrders,
  ) {}

  /** @throws Refusal */
  async read({ kind, state, after }: StuckWish): Promise<Stuck> {
    const reminded = this.runtime.kinds.find((one) => remindersOf(this.runtime, one).includes(kind))
    const { rule, problem } = boundRule(this.runtime, reminded ?? kind)
    if (!rule) throw new Refusal(503, 'UNREAD', problem.message)
    try {
      const found = await this.find(kind, state, after, isListed(rule) && reminded === undefined ? rule : undefined)
      const columns = await this.shown.of(found.orders.map(({ id }) => ({ kind: rule.kind, id })))
      return { kind, state, ...found, orders: found.orders.map((order, i) => ({ ...order, columns: columns[i] ?? [] })) }
    } catch (error) {
      throw await this.reads.problem(rule, error)
    }
  }

  private async find(kind: string, state: StuckState, after: string | undefined, rule: ListedRule | undefined): Promise<Found> {
    if (state === 'dead') return this.dead(kind, after)
    if (state === 'retrying' && !rule) return this.retrying(kind, after)
    if (!rule) return { orders: [], next: undefined, nowMs: Date.now() }
    if (state === 'undated') return this.undated(rule, after)
    const found = await this.onRows(rule, state, after)
    if (state === 'locked') await this.addLocks(rule, found.orders)
    if (state === 'retrying') await this.addFailures(kind, found.orders)
    return found
  }

  private async onRows(rule: ListedRule, state: ListedState, after: string | undefined): Promise<Found> {
    const page = await this.reads.page(rule, { state, after: parsePlace(after), limit: PAGE })
    const last = page.orders.at(-1)
    const isFull = page.orders.length === PAGE && last?.micros
    const next = isFull ? `${last.micros}.${last.id}` : page.resume
    return { orders: page.orders.map(({ id, deadlineMs }) => ({ id, deadlineMs })), next, nowMs: page.nowMs }
  }

  private async undated(rule: ListedRule, after: string | undefined): Promise<Found> {
    const { ids, next } = await this.reads.undated(rule, after, PAGE)
    return { orders: ids.map((id) => ({ id, deadlineMs: null })), next, nowMs: Date.now() }
  }

  /** Newest first. */
  private async dead(kind: string, after: string | undefined): Promise<Found> {
    const { redis } = this.runtime
    if (!redis) return { orders: [], next: undefined, nowMs: Date.now() }
    await redis.connection.connected(WAIT_MS)
    const { letters, next } = await redis.failures.deadPage(kind, after, PAGE, WAIT_MS)
    return { orders: letters.map(({ id, ...failure }) => ({ id, deadlineMs: null, failure })), next, nowMs: Date.now() }
  }

  /** For a rule whose deadlines are only in Redis; oldest first. */
  private async retrying(kind: string, after: string | undefined): Promise<Found> {
    const { failed, problem } = await keptFailures(this.runtime, kind)
    if (problem !== undefined) throw new Refusal(503, 'REDIS', problem)
    const all = [...(await this.failuresOf(kind, failed?.retrying.slice(0, CAP) ?? []))].sort(byAge)
    const at = after === undefined ? 0 : all.findIndex((one) => placeOf(one) > after)
    const page = at < 0 ? [] : all.slice(at, at + PAGE)
    const last = page.at(-1)
    return {
      orders: page.map(([id, failure]) => ({ id, deadlineMs: null, failure })),
      next: last && at + PAGE < all.length ? placeOf(last) : undefined,
      nowMs: Date.now(),
    }
  }

  private async addFailures(kind: string, orders: Found['orders']): Promise<void> {
    const failures = await this.failuresOf(
      kind,
      orders.map(({ id }) => id),
    ).catch(() => new Map<string, Failure>())
    for (const order of orders) {
      const failure = failures.get(order.id)
      if (failure) order.failure = failure
    }
  }

  private async failuresOf(kind: string, ids: readonly string[]): Promise<Map<string, Failure>> {
    const { redis } = this.runtime
    return redis && ids.length > 0 ? redis.failures.of(kind, ids) : new Map()
  }

  private async addLocks({ row }: ListedRule, orders: Found['orders']): Promise<void> {
    const ids = orders.map(({ id }) => id)
    const holders = await this.reads.inTurn(() => lockHolders(row.guard, ids)).catch(() => [])
    for (const holder of holders) {
      const order = orders.find(({ id }) => id === holder.id)
      if (order) order.lock = holder
    }
  }
}

function remindersOf(runtime: Runtime, kind: string): string[] {
  return (boundRule(runtime, kind).rule?.reminders ?? []).map((one) => one.kind)
}

function byAge(one: [string, Failure], other: [string, Failure]): number {
  return placeOf(one) < placeOf(other) ? -1 : 1
}

function placeOf([id, { at }]: [string, Failure]): string {
  return `${at}.${id}`
}

function parsePlace(text: string | undefined): Place | undefined {
  const parsed = /^(-?\d{1,18})(?:\.(.+))?$/.exec(text ?? '')
  if (!parsed) return undefined
  const [, micros = '', id] = parsed
  return { micros, ...(id !== undefined && { id }) }
}
