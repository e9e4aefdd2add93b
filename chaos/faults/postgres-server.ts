// Postgres as a server: crashed, restarted, frozen, read-only, out of connections; its sessions ended and their statements cancelled.

import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'pg'
import { HOSTS_ROLE } from '../world.js'
import { AT_ONCE, type Faults, unanswered } from './fault.js'

const OF_HOSTS = `usename = '${HOSTS_ROLE}'`

export const POSTGRES_SERVER = {
  'postgres-crashed': {
    lasts: [200, 2000],
    async strike({ world: { postgres }, witness }) {
      const { pid } = postgres
      await postgres.crash()
      witness.saw(pid > 0 && !postgres.running)
      return () => postgres.restart()
    },
  },
  /** Every session is told that the server shuts down. */
  'postgres-restarted': {
    lasts: [200, 1000],
    async strike({ world: { postgres }, witness }) {
      const { pid } = postgres
      await postgres.shutDown()
      witness.saw(pid > 0 && !postgres.running)
      return () => postgres.restart()
    },
  },
  'postgres-frozen': {
    lasts: [500, 2500],
    async strike({ world, witness }) {
      await world.postgres.pause()
      const waiting = unanswered(world.links('postgres'))
      return async () => {
        witness.saw(waiting())
        await world.postgres.resume()
      }
    },
  },
  /** As after a failover to a standby that is not promoted yet. */
  'postgres-read-only': {
    lasts: [500, 2000],
    async strike({ world, witness }) {
      const refusals = world.links('postgres').map((link) => link.count('replies', 'C25006'))
      await world.withPostgres((client) => setForAll(client, 'default_transaction_read_only', 'on'))
      return async () => {
        await world.withPostgres((client) => setForAll(client, 'default_transaction_read_only', 'off'))
        for (const refusal of refusals) {
          witness.saw(refusal.seen)
          refusal.end()
        }
      }
    },
  },
  /** The hosts' connections are ended, and new ones refused: their role may have none. */
  'postgres-connections-used-up': {
    lasts: [500, 2000],
    async strike({ world, witness }) {
      const refusals = world.links('postgres').map((link) => link.count('replies', 'C53300'))
      const limit = (most: number) => world.withPostgres((client) => client.query(`ALTER ROLE ${HOSTS_ROLE} CONNECTION LIMIT ${most}`))
      await limit(0)
      await world.withPostgres((client) => client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${OF_HOSTS}`))
      return async () => {
        await limit(-1)
        for (const refusal of refusals) {
          witness.saw(refusal.seen)
          refusal.end()
        }
      }
    },
  },
  'postgres-connections-killed': {
    lasts: AT_ONCE,
    async strike({ world, witness }) {
      const sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'worker%'"
      witness.saw((await world.withPostgres((client) => client.query(sql))).rowCount ?? 0)
      return undefined
    },
  },
  /** Whatever runs is cancelled, many times a second. */
  'statements-cancelled': {
    lasts: [500, 1500],
    async strike({ world, witness, forMs }) {
      const end = performance.now() + forMs
      const sql = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND ${OF_HOSTS}`
      await world.withPostgres(async (client) => {
        while (performance.now() < end) {
          witness.saw((await client.query(sql)).rowCount ?? 0)
          await delay(20)
        }
      })
      return undefined
    },
  },
} satisfies Faults

/** In every session, from its next transaction on. */
async function setForAll(client: Client, name: string, value: string): Promise<void> {
  await client.query(`ALTER SYSTEM SET ${name} = '${value}'`)
  await client.query('SELECT pg_reload_conf()')
}
