// The surroundings of one measured run: an empty Redis, an empty database with the orders table, and child processes.
// Closing it ends all of them.
import { HISTORY_TABLE, History } from '../lib/rows/history.js'
import { HiredChild } from './hired-child.js'
import { openOrders } from './order.js'
import type { Database, PostgresServer } from './postgres-server.js'
import { type RedisServer, startRedis } from './redis-server.js'
import type { Place } from './systems/system.js'

export class Site {
  readonly #children: HiredChild[] = []
  readonly redis: RedisServer
  readonly database: Database
  readonly postgres: PostgresServer
  /** Where timers are instead, if a scenario says so. */
  cluster: { nodes: readonly { url: string }[] } | undefined
  /** The ports of Sentinels that know where the timers are, likewise. */
  sentinels: readonly number[] | undefined
  readonly #profileDir: string | undefined

  private constructor(redis: RedisServer, database: Database, postgres: PostgresServer, profileDir: string | undefined) {
    this.redis = redis
    this.database = database
    this.postgres = postgres
    this.#profileDir = profileDir
  }

  static async open(postgres: PostgresServer, profileDir?: string): Promise<Site> {
    const redis = await startRedis()
    try {
      const database = await postgres.createDatabase()
      const sequelize = openOrders(database.url)
      await sequelize.sync()
      for (const statement of History.createSql(HISTORY_TABLE)) await sequelize.query(statement)
      await sequelize.close()
      return new Site(redis, database, postgres, profileDir)
    } catch (error) {
      await redis.stop()
      throw error
    }
  }

  get place(): Place {
    const nodes = this.cluster?.nodes.map(({ url }) => new URL(url).host)
    const sentinels = this.sentinels?.map((port) => `127.0.0.1:${port}`)
    return { redisUrl: this.redis.url, databaseUrl: this.database.url, ...(nodes && { nodes }), ...(sentinels && { sentinels }) }
  }

  async hire(): Promise<HiredChild> {
    const child = await HiredChild.hire(this.#profileDir)
    this.#children.push(child)
    return child
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#children.map((child) => child.end()))
    await this.redis.stop()
    await this.database.drop()
  }
}
