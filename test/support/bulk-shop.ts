// A shop with all tables that runs over many orders need, and orders that are shipped.

import { migration } from '../../lib/admin/migration.js'
import { type Rules, transition } from '../../lib/index.js'
import type { Database } from './database.js'
import { runtimeOf } from './runtime.js'
import { openShop, type Shop, type ShopOptions } from './shop.js'

export interface BulkShop<R extends Rules> extends Shop<R> {
  /** Shipped orders, each due at an hour of its own, the first in an hour; not in the order of their ids. */
  shipped(count: number, note?: string): Promise<void>
  /** Milliseconds by id. */
  deadlines(condition?: string): Promise<Map<number, number | null>>
  runs(): Promise<{ state: string; moved: number; planned: number; cursor: string; skipped: string[] }[]>
  actions(): Promise<{ action: string; state: string; count: number; reason: string | null }[]>
}

export function confirmRule({ Order }: Pick<Database, 'Order'>) {
  return { order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }) }
}

/** @param rules one of them is `order_confirm` */
export async function openBulkShop<const R extends Rules>(rules: (database: Database) => R, options?: ShopOptions): Promise<BulkShop<R>> {
  const shop = await openShop(rules, options)
  const { client } = shop.database
  for (const sql of migration(runtimeOf(shop.timers), { kinds: ['order_confirm'] }).up) await client.query(sql)
  return {
    ...shop,
    async shipped(count, note = '') {
      await client.query(`INSERT INTO orders (status, note, "confirmDueAt", "createdAt", "updatedAt")
        SELECT 4, '${note}', date_trunc('ms', now()) + (n * 7919 % ${count} + 1) * interval '1 hour', now(), now() FROM generate_series(1, ${count}) AS n`)
    },
    async deadlines(condition = 'TRUE') {
      const { rows } = await client.query(`SELECT id, "confirmDueAt" AS at FROM orders WHERE ${condition} ORDER BY id`)
      return new Map(rows.map(({ id, at }) => [id, at === null ? null : at.getTime()]))
    },
    runs: async () => (await client.query('SELECT state, moved, planned, cursor, skipped FROM order_timers_runs ORDER BY id')).rows,
    actions: async () => (await client.query('SELECT action, state, count, reason FROM order_timers_actions ORDER BY id')).rows,
  }
}
