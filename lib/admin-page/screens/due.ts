// The screen "Due": what comes due within a day, for all rules together, soonest first, page by page; and the number in each slice of time.

import { boundRule } from '../../admin/problem.js'
import type { Runtime } from '../../timers/runtime.js'
import { type Indexed, readIndex } from '../index-reads.js'
import { type FoundOrder, type FoundPage, isListed, type OrderReads, type Place } from '../order-reads.js'
import type { ShownOrders } from '../shown-orders.js'

const PAGE = 50
const HOUR_MS = 3_600_000

/** The possible ranges, in hours, and the seconds of a slice in each. */
const SLICES: Record<number, number> = { 1: 120, 6: 900, 24: 3_600 }

export interface DueWish {
  /** One rule; all where it is undefined. */
  kind: string | undefined
  hours: number
  /** The `next` of the previous page. */
  after: string | undefined
}

export interface DueOrder {
  kind: string
  id: string
  deadlineMs: number
  columns: [string, string][]
}

export interface Due {
  nowMs: number
  orders: DueOrder[]
  next: string | undefined
  /** For each rule: how many come due in each slice. Counting ends at 10,000. */
  slices: { kind: string; seconds: number; counts: { fromMs: number; count: number }[] }[]
  problems: { kind: string; text: string }[]
}

type Found = FoundOrder & { kind: string; at: bigint }

export class DueScreen {
  constructor(
    private readonly runtime: Runtime,
    private readonly reads: OrderReads,
    private readonly shown: ShownOrders,
  ) {}

  async read({ kind, hours, after }: DueWish): Promise<Due> {
    const kinds = kind === undefined ? this.runtime.kinds : this.runtime.kinds.filter((one) => one === kind)
    const place = after === undefined ? undefined : parsePlace(after)
    const range = hours in SLICES ? hours : 24
    const found: Found[] = []
    const due: Due = { nowMs: Date.now(), orders: [], next: undefined, slices: [], problems: [] }
    let until: bigint | undefined
    for (const one of kinds) {
      try {
        const page = await this.page(one, place, range * HOUR_MS)
        due.nowMs = page.nowMs
        found.push(...page.orders.map((order) => ({ ...order, kind: one, at: BigInt(order.micros ?? 0) })))
        // Later orders of this rule were not read, so the page of all rules ends there.
        if (page.resume !== undefined && (until === undefined || BigInt(page.resume) < until)) until = BigInt(page.resume)
        if (after === undefined) due.slices.push({ kind: one, seconds: SLICES[range] as number, counts: await this.slices(one, range) })
      } catch (error) {
        due.problems.push({
          kind: one,
          text: (await this.reads.problem(boundRule(this.runtime, one).rule ?? { row: undefined }, error)).message,
        })
      }
    }
    found.sort((one, other) => (one.at === other.at ? byKind(kinds, one, other) : one.at < other.at ? -1 : 1))
    const page = found.filter(({ at }) => until === undefined || at <= until).slice(0, PAGE)
    const last = page.at(-1)
    if (last && (found.length > page.length || until !== undefined || page.length === PAGE)) due.next = `${last.at}.${last.kind}.${last.id}`
    const columns = await this.shown.of(page)
    due.orders = page.map(({ kind: of, id, deadlineMs }, i) => ({ kind: of, id, deadlineMs, columns: columns[i] ?? [] }))
    return due
  }

  private async page(kind: string, place: DuePlace | undefined, withinMs: number): Promise<FoundPage> {
    const { rule, problem } = boundRule(this.runtime, kind)
    if (!rule) throw new Error(problem.message)
    if (!isListed(rule)) return this.redisPage(kind, place, withinMs)
    const { kinds } = this.runtime
    const isSame = place?.kind === kind
    const after: Place | undefined = place && { micros: place.micros, ...(isSame && { id: place.id }) }
    const inclusive = place !== undefined && kinds.indexOf(kind) > kinds.indexOf(place.kind)
    return this.reads.page(rule, { state: 'pending', after, inclusive, withinMs, limit: PAGE })
  }

  /** For a rule whose deadlines are only in Redis. */
  private async redisPage(kind: string, place: DuePlace | undefined, withinMs: number): Promise<FoundPage> {
    const fromMs = place && Number(BigInt(place.micros) / 1_000n)
    const { timers, nowMs } = await readIndex(this.runtime, kind, fromMs ?? 'pending')
    const isBehind = ({ id, deadlineMs }: Indexed) => {
      if (!place || deadlineMs !== fromMs) return true
      const order = this.runtime.kinds.indexOf(kind) - this.runtime.kinds.indexOf(place.kind)
      return order > 0 || (order === 0 && id > place.id)
    }
    const orders = timers.filter((timer) => timer.deadlineMs <= nowMs + withinMs && isBehind(timer)).slice(0, PAGE)
    const found = orders.map(({ id, deadlineMs }) => ({ id, deadlineMs, micros: String(BigInt(Math.round(deadlineMs * 1_000))) }))
    return { orders: found, resume: undefined, nowMs }
  }

  private async slices(kind: string, hours: number): Promise<{ fromMs: number; count: number }[]> {
    const { rule } = boundRule(this.runtime, kind)
    const seconds = SLICES[hours] as number
    if (isListed(rule)) return this.reads.slices(rule, hours * HOUR_MS, seconds)
    const { timers, nowMs } = await readIndex(this.runtime, kind, 'pending')
    const counts = new Map<number, number>()
    for (const { deadlineMs } of timers) {
      if (deadlineMs > nowMs + hours * HOUR_MS) break
      const fromMs = Math.floor(deadlineMs / (seconds * 1_000)) * seconds * 1_000
      counts.set(fromMs, (counts.get(fromMs) ?? 0) + 1)
    }
    return [...counts].map(([fromMs, count]) => ({ fromMs, count }))
  }
}

interface DuePlace {
  micros: string
  kind: string
  id: string
}

/** If the position cannot be parsed, the first page is shown. */
function parsePlace(text: string): DuePlace | undefined {
  const parsed = /^(-?\d{1,18})\.([A-Za-z][\w.-]*?)\.([^.].*)$/.exec(text)
  return parsed ? { micros: parsed[1] as string, kind: parsed[2] as string, id: parsed[3] as string } : undefined
}

function byKind(kinds: readonly string[], one: Found, other: Found): number {
  return kinds.indexOf(one.kind) - kinds.indexOf(other.kind)
}
