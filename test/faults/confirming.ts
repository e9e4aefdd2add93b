// What the tests under faults have in common: a rule that confirms shipped orders (4 to 5), orders shipped with a deadline, and the
// ledger's word on them. Status and deadlines are read over a connection that nothing else uses.

import assert from 'node:assert/strict'
import { type TransitionOptions, transition } from '../../lib/index.js'
import type { Database } from '../support/database.js'
import type { OrderRow } from '../support/order.js'
import type { TestWorker } from '../support/shop.js'
import { inTurns } from '../support/turns.js'
import { waitUntil } from '../support/waiting.js'

export const EVERY_SECOND = '* * * * * *'

/** How late an order may be that is on time. Several processes of tests share two cores, so milliseconds are the bench's; it is half of the shortest sweep. */
export const PUNCTUAL_MS = 500

const LATE_MS = 3_000

type More = Partial<Pick<TransitionOptions<OrderRow>, 'run' | 'attempts' | 'timeout' | 'where'>>

export function confirming(more: More = {}) {
  return ({ Order }: Database) => ({
    order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h', ...more }),
  })
}

interface ConfirmingShop {
  database: Database
  timers: { schedule(kind: 'order_confirm', order: number, options: { after: number }): Promise<unknown> }
}

/** Orders that are shipped and come due in so many milliseconds, through the timers as a shop would. */
export async function ship(shop: ConfirmingShop, count: number, afterMs: number): Promise<number[]> {
  const orders = await shop.database.Order.bulkCreate(Array.from({ length: count }, () => ({ status: 4 })))
  await inTurns(orders, ({ id }) => shop.timers.schedule('order_confirm', id, { after: afterMs }))
  return orders.map(({ id }) => id)
}

/** Orders as somebody writes them who knows nothing of timers. Postgres's clock says when they are due. */
export async function shipUnarmed(database: Database, count: number, afterMs: number): Promise<number[]> {
  const sql = `INSERT INTO orders ("userId", total, status, "confirmDueAt", "createdAt", "updatedAt")
    SELECT 1, 100, 4, date_trunc('milliseconds', clock_timestamp()) + $2 * interval '1 ms', now(), now() FROM generate_series(1, $1) RETURNING id`
  const { rows } = await database.client.query<{ id: number }>(sql, [count, afterMs])
  return rows.map(({ id }) => id)
}

export async function countIn(database: Database, status: number): Promise<number> {
  const sql = 'SELECT count(*)::int AS count FROM orders WHERE status = $1'
  const { rows } = await database.client.query<{ count: number }>(sql, [status])
  return rows[0]?.count ?? 0
}

/** Waits until so many orders are confirmed, and holds the promises against the ledger. */
export async function confirmed(shop: { database: Database }, count: number, within = 15_000): Promise<void> {
  await waitUntil(async () => (await countIn(shop.database, 5)) === count, { within, what: `${count} orders to be confirmed` })
  await promisesHeld(shop.database)
}

/** Nothing early, nothing twice. */
export async function promisesHeld({ ledger }: Database): Promise<void> {
  assert.deepEqual(await ledger.early(), [])
  assert.deepEqual(await ledger.twice(), [])
}

/** How late the orders were of which the ledger knows, sorted. */
export async function latest({ ledger }: Database, ids: readonly number[]): Promise<number> {
  const wanted = new Set(ids.map(String))
  return Math.max(...(await ledger.changes()).filter(({ id }) => wanted.has(id)).map(({ latenessMs }) => latenessMs ?? Number.NaN))
}

/**
 * Most of these orders were settled by the alarm, and none by a worker that was seconds late. How many milliseconds late they may be is for the bench
 * to say: on a busy machine a sweep that comes every second is sometimes first.
 */
export async function wereOnTime(database: Database, ids: readonly number[], ...workers: TestWorker[]): Promise<void> {
  const wanted = new Set(ids.map(String))
  const paths = () => workers.flatMap(({ settled }) => settled.filter(({ id }) => wanted.has(id)).map(({ via }) => via))
  await waitUntil(() => paths().length === ids.length, { what: 'the workers to tell what they settled' })
  const notSwept = paths().filter((via) => via !== 'sweep').length
  assert.ok(notSwept > ids.length / 2, `${notSwept} of ${ids.length} by the alarm`)
  await wereNotLate(database, ids)
}

/** Where no sweep comes that could have settled them. */
export async function wereNotLate(database: Database, ids: readonly number[]): Promise<void> {
  const lateMs = await latest(database, ids)
  assert.ok(lateMs < LATE_MS, `late by ${lateMs} ms`)
}
