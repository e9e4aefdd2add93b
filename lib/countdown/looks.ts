// Reads rows for all viewers: requests are collected and read by one statement a second at most, however many there are.

import { type WatchedOrders, watchedRows } from '../rows/watched-rows.js'
import { withinCall } from '../sequelize/call-connection.js'
import type { Runtime } from '../timers/runtime.js'
import { Refusal } from '../web/refusal.js'
import { HeldKinds } from './held-kinds.js'
import { type KindFacts, type Seen, seenIn } from './state.js'

export const EVERY_MS = 1_000
/** The limit for one second, for streams and other requests together. */
const MOST_ORDERS = 20_000

/** An order under a rule; the id in its canonical form. */
export interface Watched {
  kind: string
  id: string
}

/** The rows of one reading, by `nameOf`. An order that does not exist is not in it. */
export interface Look {
  seen: ReadonlyMap<string, Seen>
  /** When Postgres answered, by `performance.now()`. */
  at: number
}

export function nameOf({ kind, id }: Watched): string {
  return `${kind}:${id}`
}

export class Looks {
  private wanted = new Map<string, Watched>()
  private next: Promise<Look> | undefined
  private lastAt = Number.NEGATIVE_INFINITY
  private readonly heldKinds = new HeldKinds()

  constructor(private readonly runtime: Runtime) {}

  /**
   * The rows of these orders, within a second or little more.
   * @throws Refusal 503 if too many are requested, OrderTimersError if Postgres does not answer
   */
  at(orders: Iterable<Watched>): Promise<Look> {
    const more = new Map([...orders].map((order) => [nameOf(order), order]))
    for (const name of this.wanted.keys()) more.delete(name)
    if (this.wanted.size + more.size > MOST_ORDERS)
      return Promise.reject(new Refusal(503, 'BUSY', 'too many orders are watched at present'))
    for (const [name, order] of more) this.wanted.set(name, order)
    this.next ??= this.look()
    return this.next
  }

  private async look(): Promise<Look> {
    const waitMs = this.lastAt + EVERY_MS - performance.now()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs).unref())
    else await Promise.resolve() // requests of the same turn are read together
    const wanted = [...this.wanted.values()]
    this.wanted = new Map()
    this.next = undefined
    this.lastAt = performance.now()
    return this.read(wanted)
  }

  private async read(wanted: readonly Watched[]): Promise<Look> {
    const seen = new Map<string, Seen>()
    let at = performance.now()
    for (const orders of this.bySequelize(wanted)) {
      const { sequelize } = (orders[0] as WatchedOrders).row.guard.table
      const found = await withinCall(sequelize, undefined, performance.now(), (within) => watchedRows(orders, within))
      at = performance.now()
      const facts = await this.factsOf(orders)
      for (const row of found) seen.set(nameOf(row), seenIn(row, facts.get(row.kind) as KindFacts))
    }
    return { seen, at }
  }

  private async factsOf(orders: readonly WatchedOrders[]): Promise<Map<string, KindFacts>> {
    const facts = new Map<string, KindFacts>()
    for (const { kind, row } of orders) {
      facts.set(kind, { isHeld: await this.heldKinds.isHeld(kind, row), verifies: row.verification !== undefined })
    }
    return facts
  }

  /** One statement for each database. */
  private bySequelize(wanted: readonly Watched[]): WatchedOrders[][] {
    const byKind = new Map<string, string[]>(wanted.map(({ kind }) => [kind, []]))
    for (const { kind, id } of wanted) byKind.get(kind)?.push(id)
    const bySequelize = new Map<object, WatchedOrders[]>()
    for (const [kind, ids] of byKind) {
      const { row } = this.runtime.rule(kind)
      if (!row) continue // requests are not for such a rule
      const { sequelize } = row.guard.table
      const of = bySequelize.get(sequelize) ?? []
      bySequelize.set(sequelize, of)
      of.push({ kind, row, ids })
    }
    return [...bySequelize.values()]
  }
}
