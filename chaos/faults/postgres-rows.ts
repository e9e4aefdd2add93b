// Locks of somebody else's in Postgres: on rows, on a table, and on what lets one worker at a time sweep.

import { setTimeout as delay } from 'node:timers/promises'
import { RULES } from '../rules.js'
import { TABLES } from '../tables.js'
import { PREFIX, SCHEMA } from '../world.js'
import type { Faults } from './fault.js'

const ROWS = 50

export const POSTGRES_ROWS = {
  /** The rows that are due next; it counts those whose time came meanwhile. */
  'rows-locked': {
    lasts: [500, 2500],
    async strike({ world, witness, forMs }) {
      await world.withPostgres(async (client) => {
        await client.query('BEGIN')
        const locked: { table: string; column: string; ids: string[] }[] = []
        for (const { table, deadline } of RULES) {
          if (table === null || deadline === 'redis' || !('column' in deadline)) continue
          const { column } = deadline
          const { rows } = await client.query<{ id: string }>(
            `SELECT id::text FROM ${table} WHERE "${column}" > now() ORDER BY "${column}" LIMIT ${ROWS} FOR UPDATE SKIP LOCKED`,
          )
          locked.push({ table, column, ids: rows.map(({ id }) => id) })
        }
        await delay(forMs)
        for (const { table, column, ids } of locked) {
          const due = `SELECT FROM ${table} WHERE id::text = ANY($1) AND "${column}" <= clock_timestamp()`
          witness.saw((await client.query(due, [ids])).rowCount ?? 0)
        }
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
        const tables = new Set(['orders', random.shuffled(TABLES)[0]!])
        await client.query(`SET lock_timeout = '2s'`)
        await client.query('BEGIN')
        await client.query(`LOCK TABLE ${[...tables].join(', ')} IN ${random.chance(0.5) ? 'ACCESS EXCLUSIVE' : 'SHARE'} MODE`)
        await delay(forMs)
        const waiting = 'SELECT FROM pg_catalog.pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))'
        witness.saw((await client.query(waiting)).rowCount ?? 0)
        await client.query('ROLLBACK')
      })
      return undefined
    },
  },
  /** Every rule's lock: it counts the workers' tries. */
  'sweep-locked': {
    lasts: [2500, 5000],
    async strike({ world, witness, forMs }) {
      const tries = world.links('postgres', world.workers).map((link) => link.count('requests', 'pg_try_advisory_xact_lock('))
      await world.withPostgres(async (client) => {
        await client.query('BEGIN')
        for (const { kind, table } of RULES) {
          if (table === null) continue
          const name = `express-order-timers:sweep:${PREFIX}${kind}:"${table}"`
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
