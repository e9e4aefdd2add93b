// Everything that runs in a chaos run: a Redis and a Postgres of its own, and the workers and the shops, each on a host with its own links.
// Faults act upon it. A process that ends without having been told to is written down as a broken promise.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Client } from 'pg'
import { ChildProgram } from '../test/support/child-program.js'
import { connectByHand, sequelizeOn } from '../test/support/database.js'
import { PostgresServer } from '../test/support/postgres-server.js'
import { RedisServer } from '../test/support/redis-server.js'
import type { TcpProxy } from '../test/support/tcp-proxy.js'
import { waitUntil } from '../test/support/waiting.js'
import { Host } from './host.js'
import { installMovedClock } from './moved-clock.js'
import { createTables } from './schema.js'
import type { ShopConfig } from './shop/main.js'
import type { WorkerConfig } from './worker-main.js'

export const SCHEMA = 'chaos'
/** The schema's clock before the built-in one: see moved-clock.ts. */
const SEARCH_PATH = `${SCHEMA},pg_catalog`
const SWEEP_EVERY_2_S = '*/2 * * * * *'
export const PREFIX = 'chaos:'

export class World {
  readonly workers: Host[] = []
  readonly shops: Host[] = []
  /** What must not have happened and did, in plain words. */
  readonly broken: string[] = []
  /** The journals of all processes: see journal.ts. */
  readonly directory = mkdtempSync(join(tmpdir(), 'order-timers-chaos-'))
  private shopsOpened = 0
  private shopsStarted = 0

  private constructor(
    readonly redis: RedisServer,
    readonly postgres: PostgresServer,
  ) {}

  static async open(): Promise<World> {
    const [redis, postgres] = await Promise.all([
      RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'everysec']),
      PostgresServer.start(),
    ])
    const world = new World(redis, postgres)
    await world.createTables()
    return world
  }

  get hosts(): Host[] {
    return [...this.workers, ...this.shops]
  }

  /** The links of some hosts to one server. */
  links(server: 'redis' | 'postgres', hosts: readonly Host[] = this.hosts): TcpProxy[] {
    return hosts.map((host) => host.links[server])
  }

  async startWorkers(count: number): Promise<void> {
    for (let n = 1; n <= count; n += 1) {
      this.workers.push(
        await Host.open(
          `worker ${n}`,
          this.ports,
          (host) => this.launchWorker(host),
          (host, end) => this.restartAfter(host, end),
        ),
      )
    }
    await Promise.all(this.workers.map((host) => host.start().receive('ready', 120_000)))
  }

  /** A process of the shop's ends what it has begun and says `finished` when it is told to stop. */
  async startShop(seed: number, ordersPerSecond: number): Promise<Host> {
    const config = { seed, ordersPerSecond }
    this.shopsOpened += 1
    const host = await Host.open(
      `shop ${this.shopsOpened}`,
      this.ports,
      (own) => this.launchShop(own, config),
      () => {},
    )
    this.shops.push(host)
    await host.start().receive('ready', 120_000)
    return host
  }

  /** Runs statements over a connection of its own; Postgres may be down for a while. */
  async withPostgres<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await waitUntil(() => connectByHand(this.postgres.url, SEARCH_PATH), { within: 10_000, every: 50, what: 'Postgres' })
    try {
      return await work(client)
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** Runs commands on the server itself, past the links; Redis may be down for a while. */
  async withRedis<T>(work: (client: Redis) => Promise<T>): Promise<T> {
    return waitUntil(
      async () => {
        const client = new Redis(this.redis.url, { retryStrategy: () => null, maxRetriesPerRequest: 0, commandTimeout: 5000 })
        client.on('error', () => {})
        try {
          return { answer: await work(client) }
        } finally {
          client.disconnect()
        }
      },
      { within: 15_000, every: 50, what: 'Redis' },
    ).then(({ answer }) => answer)
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.close()))
    await Promise.all([this.redis.stop(), this.postgres.stop()])
    rmSync(this.directory, { recursive: true })
  }

  private get ports(): { redis: number; postgres: number } {
    return { redis: this.redis.port, postgres: this.postgres.port }
  }

  private connections({ name, links }: Host) {
    return {
      databaseUrl: `postgres://postgres@127.0.0.1:${links.postgres.port}/postgres`,
      schema: SEARCH_PATH,
      redisUrl: `redis://127.0.0.1:${links.redis.port}`,
      prefix: PREFIX,
      name,
      directory: this.directory,
    }
  }

  private launchWorker(host: Host): ChildProgram {
    const config: WorkerConfig = { ...this.connections(host), fallback: SWEEP_EVERY_2_S, deployment: host.deployment }
    return ChildProgram.launch(new URL('./worker-main.ts', import.meta.url), config)
  }

  private launchShop(host: Host, own: { seed: number; ordersPerSecond: number }): ChildProgram {
    const config: ShopConfig = { ...this.connections(host), ...own, before: this.shopsStarted }
    this.shopsStarted += 1
    return ChildProgram.launch(new URL('./shop/main.ts', import.meta.url), config)
  }

  private restartAfter(host: Host, end: number | string | null): void {
    this.broken.push(`${host.name} ended by itself: ${end}`)
    host.start()
  }

  private async createTables(): Promise<void> {
    const client = await connectByHand(this.postgres.url, SEARCH_PATH)
    await client.query(`CREATE SCHEMA ${SCHEMA}`)
    await installMovedClock(client, SCHEMA)
    const sequelize = sequelizeOn(this.postgres.url, SEARCH_PATH)
    await createTables(client, sequelize, SCHEMA)
    await sequelize.close()
    await client.end()
  }
}
