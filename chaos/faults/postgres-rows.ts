// Locks of somebody else's in Postgres: on rows, on the table, and on what lets one worker at a time sweep.

import { setTimeout as delay } from 'node:timers/promises'
import { PREFIX, SCHEMA } from '../world.js'
import type { Faults } from './fault.js'

const KINDS = ['order_pay', 'order_confirm']

export const POSTGRES_ROWS = {
  'rows-locked': {
    lasts: [500, 2500],
    async strike({ world, witness, forMs }) {
      await world.withPostgres(async (client) => {
        await client.query('BEGIN')
        const { rows } = await client.query<{ id: number }>(
          `SELECT id FROM orders WHERE "confirmDueAt" > now() AND status = 4 ORDER BY "confirmDueAt" LIMIT 50 FOR UPDATE SKIP LOCKED`,
        )
        await delay(forMs)
        const due = await client.query('SELECT FROM orders WHERE id = ANY($1) AND "confirmDueAt" <= clock_timestamp()', [
          rows.map(({ id }) => id),
        ])
        witness.saw(due.rowCount ?? 0)
        await client.query('ROLLBACK')
      })
      return undefined
    },
  },
  /** As a migration does. */
  'table-locked': {
    lasts: [300, 2500],
    async strike({ world, witness, random, forMs }) {
      await world.withPostgres(async (client) => {
        await client.query(`SET lock_timeout = '2s'`)
        await client.query('BEGIN')
        await client.query(`LOCK TABLE orders IN ${random.chance(0.5) ? 'ACCESS EXCLUSIVE' : 'SHARE'} MODE`)
        await delay(forMs)
        const waiting = await client.query('SELECT FROM pg_catalog.pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))')
        witness.saw(waiting.rowCount ?? 0)
        await client.query('ROLLBACK')
      })
      return undefined
    },
  },
  'sweep-locked': {
    lasts: [2500, 5000],
    async strike({ world, witness, forMs }) {
      const tries = world.links('postgres', world.workers).map((link) => link.count('requests', 'pg_try_advisory_xact_lock'))
      await world.withPostgres(async (client) => {
        await client.query('BEGIN')
        for (const kind of KINDS) {
          const name = `express-order-timers:sweep:${PREFIX}${kind}:"orders"`
          await client.query(`SELECT pg_advisory_xact_lock(hashtextextended(concat($1::text, '${SCHEMA}'), 0))`, [name])
        }
        await delay(forMs)
        await client.query('ROLLBACK')
      })
      for (const count of tries) {
        witness.saw(count.seen)
        count.end()
      }
      return undefined
    },
  },
} satisfies Faults
