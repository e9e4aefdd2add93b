// Fills the orders table by SQL, the same rows for every system.
// Orders 1 to n come due during the run; the pending ones after them have a day left.
import type pg from 'pg'
import { SHIPPED } from './order.js'

export const DAY_MS = 24 * 60 * 60 * 1000

export interface NewOrders {
  firstId: number
  count: number
  /** Null: no deadline yet. */
  dueAt: number | null
  spacingMs?: number
  /** Shipped by default. */
  status?: number
}

export async function addOrders(sql: pg.Client, { firstId, count, dueAt, spacingMs = 0, status = SHIPPED }: NewOrders): Promise<void> {
  if (count === 0) return
  await sql.query(
    `INSERT INTO orders (id, "userId", total, status, note, "confirmDueAt", "createdAt", "updatedAt")
     SELECT $1::int + i, i % 5000, 19.9, ${status}, 'leave it at the door',
            to_timestamp(($3::float8 + i * $4::float8) / 1000), now(), now()
     FROM generate_series(0, $2::int - 1) AS i`,
    [firstId, count, dueAt, spacingMs],
  )
}

/** Leaves the server with nothing to catch up on when the measuring begins. */
export async function settleDown(sql: pg.Client): Promise<void> {
  await sql.query('VACUUM ANALYZE orders')
  await sql.query('CHECKPOINT')
}
