// Reads rows for all viewers: requests are collected and read by one statement a second at most, however many there are.

import { type WatchedOrders, watchedRows } from '../rows/watched-rows.js'
import { withinCall } from '../sequelize/call-connection.js'
import { faultOwnerOf, isLocked } from '../sequelize/fault-owner.js'
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

/** `at`: when Postgres answered, by `performance.now()`. */
type SeenAt = Seen & { at: number }

/** The rows of one reading. */
export interface Look {
  /** By `nameOf`. An order that does not exist is not in it. */
  seen: Map<string, SeenAt>
  /** Kinds whose orders could not be read, and why. */
  unread: Map<string, unknown>
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
   * @throws Refusal 503 if too many are requested
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
    const look: Look = { seen: new Map(), unread: new Map() }
    for (const orders of this.bySequelize(wanted)) await this.readInto(look, orders)
    return look
  }

  /** By one statement. If that is refused, by one for each kind: a table that cannot be read costs its own kind alone, whoever asks for it. */
  private async readInto(look: Look, orders: readonly WatchedOrders[]): Promise<void> {
    const { sequelize } = (orders[0] as WatchedOrders).row.guard.table
    try {
      const found = await withinCall(sequelize, undefined, performance.now(), (within) => watchedRows(orders, within))
      const at = performance.now()
      const facts = await this.factsOf(orders)
      for (const row of found) look.seen.set(nameOf(row), { ...seenIn(row, facts.get(row.kind) as KindFacts), at })
    } catch (error) {
      const isOfOneTable = faultOwnerOf(error) !== 'database' || isLocked(error)
      if (orders.length > 1 && isOfOneTable) for (const one of orders) await this.readInto(look, [one])
      else for (const { kind } of orders) look.unread.set(kind, error)
    }
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
