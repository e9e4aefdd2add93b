// The Postgres of a chaos run: one server, or a primary and a standby that has what the primary has committed before anybody is told so. Hosts have
// one address for both, and their links lead to the primary.

import { connectByHand } from '../../test/support/database.js'
import { PostgresServer } from '../../test/support/postgres-server.js'
import { waitUntil } from '../../test/support/waiting.js'
import type { Link } from '../link.js'
import type { PostgresTopology } from './topology.js'

/** Of both: what a standby still lacks is kept, and it asks soon for more. */
const SETTINGS = { wal_keep_size: '512MB', wal_retrieve_retry_interval: '200ms' }

export class PostgresSite {
  standby: PostgresServer | undefined

  private constructor(public primary: PostgresServer) {}

  static async open(topology: PostgresTopology): Promise<PostgresSite> {
    if (topology === 'server') return new PostgresSite(await PostgresServer.start())
    const site = new PostgresSite(await PostgresServer.start(SETTINGS))
    try {
      await site.addStandby()
    } catch (error) {
      await site.stop()
      throw error
    }
    return site
  }

  /** Gives the primary a standby, without which it commits nothing from then on. */
  async addStandby(): Promise<void> {
    if (this.standby) return
    const standby = await this.primary.addStandby(SETTINGS)
    this.standby = standby
    await this.onPrimary(async (query) => {
      const streaming = () => query("SELECT FROM pg_stat_replication WHERE state = 'streaming'")
      await waitUntil(async () => (await streaming()) > 0, { within: 30_000, what: 'the standby to follow', every: 50 })
      await query("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
      await query('SELECT pg_reload_conf()')
    })
  }

  /** The primary crashes for good, and the standby takes over at the same address. */
  async failOver(links: readonly Link[]): Promise<void> {
    const { primary, standby } = this
    if (!standby) throw new Error('there is no standby')
    await primary.crash()
    this.primary = standby
    this.standby = undefined
    for (const link of links) {
      link.lead(standby.port)
      link.reset()
    }
    await this.onPrimary((query) => query('SELECT pg_promote(true, 30)'))
    await primary.stop()
  }

  async stop(): Promise<void> {
    await Promise.all([this.primary.stop(), this.standby?.stop()])
  }

  /** @param work is given a query that resolves to its number of rows */
  private async onPrimary(work: (query: (sql: string) => Promise<number>) => Promise<unknown>): Promise<void> {
    const client = await waitUntil(() => connectByHand(this.primary.url, 'pg_catalog'), { within: 20_000, every: 50, what: 'Postgres' })
    try {
      await work(async (sql) => (await client.query(sql)).rowCount ?? 0)
    } finally {
      await client.end().catch(() => {})
    }
  }
}
