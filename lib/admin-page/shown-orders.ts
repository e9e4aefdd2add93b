// The columns of orders that the shop lets the page show (`show`), as text. An order is read only where there is a `show`.

import { boundRule } from '../admin/problem.js'
import { errorText } from '../error-text.js'
import type { Log } from '../logger.js'
import type { RowRule } from '../rows/row-rule.js'
import { orderRows } from '../sequelize/database.js'
import type { Runtime } from '../timers/runtime.js'
import type { ShowOrder } from './options.js'
import type { OrderReads } from './order-reads.js'

const MOST_COLUMNS = 30
const LONGEST = 500

/** Text by heading. */
export type Columns = [string, string][]

export class ShownOrders {
  constructor(
    private readonly runtime: Runtime,
    private readonly reads: OrderReads,
    private readonly show: ShowOrder | undefined,
    private readonly log: Log,
  ) {}

  /** The columns of each order, in the same order; none for an order without a row. */
  async of(orders: readonly { kind: string; id: string }[]): Promise<Columns[]> {
    const columns = new Map<string, Columns>()
    if (this.show !== undefined) {
      for (const kind of new Set(orders.map((order) => order.kind))) {
        const { row } = boundRule(this.runtime, kind).rule ?? {}
        const ids = orders.filter((order) => order.kind === kind).map(({ id }) => id)
        if (row) for (const [id, shown] of await this.read(row, ids)) columns.set(`${kind} ${id}`, shown)
      }
    }
    return orders.map(({ kind, id }) => columns.get(`${kind} ${id}`) ?? [])
  }

  private async read(row: RowRule, ids: readonly string[]): Promise<Map<string, Columns>> {
    const { table } = row.guard
    const sql = `SELECT ${table.alias}.*, ${table.id}::text AS order_timers_id FROM ${table.aliased} WHERE ${table.id} = ANY($1)`
    type Row = Record<string, unknown> & { order_timers_id: string }
    const found = await this.reads.within(row, (transaction) => orderRows<Row>(table.sequelize, sql, [ids], transaction))
    const columns = new Map<string, Columns>()
    const failures: unknown[] = []
    for (const { order_timers_id, ...values } of found)
      try {
        columns.set(order_timers_id, this.columnsOf(row, values))
      } catch (error) {
        failures.push(error)
      }
    if (failures.length > 0) {
      const message = `orderTimersAdmin: "show" failed (${errorText(failures[0])}); ${failures.length} of ${found.length} orders are shown without columns`
      this.log('warn', message, { code: 'ADMIN_SHOW' })
    }
    return columns
  }

  private columnsOf(row: RowRule, values: Record<string, unknown>): Columns {
    const shown: object = this.show?.(row.guard.table.instance(values)) ?? {}
    const isPromise = typeof (shown as PromiseLike<unknown>).then === 'function'
    if (isPromise) Promise.resolve(shown).catch(() => {}) // a rejection that nobody hears would end the process
    if (isPromise || typeof shown !== 'object')
      throw new TypeError(`it must return an object of headings and values at once, got a ${isPromise ? 'promise' : typeof shown}`)
    return Object.entries(shown)
      .filter(([, value]) => value !== undefined && typeof value !== 'function' && typeof value !== 'symbol')
      .slice(0, MOST_COLUMNS)
      .map(([heading, value]) => [heading.slice(0, 100), textOf(value)])
  }
}

function textOf(value: unknown): string {
  const text =
    value === null ? '' : value instanceof Date ? dateText(value) : typeof value === 'object' ? JSON.stringify(value) : String(value)
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text
}

function dateText(date: Date): string {
  return Number.isNaN(date.getTime()) ? '' : date.toISOString()
}
