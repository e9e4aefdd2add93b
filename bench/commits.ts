// When orders were settled, by Postgres's own record of the transactions that did it (pg_xact_commit_timestamp), which no
// system writes or reads. Deadlines are those that the suite asked for, not what stands on the rows.
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { CONFIRMED } from './order.js'

export interface Waiting {
  n: number
  /** Nothing is looked for before. */
  from: number
  patienceMs: number
}

export interface Commit {
  id: number
  /** Milliseconds since 1970, by Postgres's clock. */
  at: number
}

const LOOK_EVERY_MS = 200

/** Waits until n orders are settled, or until patience ends; looks seldom enough not to be in the way. */
export async function waitForCommits(sql: pg.Client, { n, from, patienceMs }: Waiting): Promise<void> {
  await sleep(Math.max(0, from - Date.now()))
  const end = Date.now() + patienceMs
  while ((await countSettled(sql)) < n && Date.now() < end) await sleep(LOOK_EVERY_MS)
}

async function countSettled(sql: pg.Client): Promise<number> {
  return (await sql.query(`SELECT count(*)::int AS settled FROM orders WHERE status = ${CONFIRMED}`)).rows[0].settled
}

/** The orders that are settled, each with the commit that did it. */
export async function commitsOf(sql: pg.Client): Promise<Commit[]> {
  const { rows } = await sql.query(
    `SELECT id, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::float8 AS at FROM orders WHERE status = ${CONFIRMED}`,
  )
  return rows
}

/** Row updates that Postgres counted on the table; complete once those who made them have disconnected. */
export async function countUpdates(sql: pg.Client): Promise<number> {
  await sql.query('SELECT pg_stat_force_next_flush()')
  await sleep(50)
  return (await sql.query(`SELECT n_tup_upd::int AS updates FROM pg_stat_user_tables WHERE relname = 'orders'`)).rows[0].updates
}
