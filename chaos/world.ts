// Everything that runs in a chaos run: a Redis and a Postgres of its own, proxies before them, the workers' and the shop's processes.
// Faults act upon it; workers that end without having been told to are written down as a broken promise.

import { Redis } from 'ioredis'
import type { Client } from 'pg'
import { ChildProgram } from '../test/support/child-program.js'
import { connectByHand, sequelizeOn } from '../test/support/database.js'
import { Ledger } from '../test/support/ledger.js'
import { defineOrder } from '../test/support/order.js'
import { PostgresServer } from '../test/support/postgres-server.js'
import { RedisServer } from '../test/support/redis-server.js'
import { TcpProxy } from '../test/support/tcp-proxy.js'
import { waitUntil } from '../test/support/waiting.js'
import { launchWorkerProcess, type WorkerProcess } from '../test/support/worker-process.js'
import { EFFECTS_TABLE, LEDGER_DEADLINE } from './rules.js'
import type { ShopConfig } from './shop-main.js'

const SCHEMA = 'chaos'
const SWEEP_EVERY_2_S = '*/2 * * * * *'
export const PREFIX = 'chaos:'

export class World {
  readonly workers: (WorkerProcess | undefined)[] = []
  /** What must not have happened and did, in plain words. */
  readonly broken: string[] = []
  private stopping = false

  private constructor(
    readonly redis: RedisServer,
    readonly postgres: PostgresServer,
    /** What the workers have between themselves and Redis, and Postgres; what the shop has before Redis. */
    readonly proxies: { workerRedis: TcpProxy; workerPostgres: TcpProxy; shopRedis: TcpProxy },
  ) {}

  static async open(redisArguments: string[]): Promise<World> {
    const [redis, postgres] = await Promise.all([RedisServer.start(redisArguments), PostgresServer.start()])
    const [workerRedis, workerPostgres, shopRedis] = await Promise.all([redis, postgres, redis].map(({ port }) => TcpProxy.start(port)))
    const world = new World(redis, postgres, { workerRedis: workerRedis!, workerPostgres: workerPostgres!, shopRedis: shopRedis! })
    await world.createTables()
    return world
  }

  async startWorkers(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) this.startWorker(index)
    await Promise.all(this.workers.map((worker) => worker?.receive('ready', 20_000)))
  }

  startWorker(index: number): void {
    const { workerRedis, workerPostgres } = this.proxies
    const worker = launchWorkerProcess({
      databaseUrl: `postgres://postgres@127.0.0.1:${workerPostgres.port}/postgres`,
      schema: SCHEMA,
      redisUrl: `redis://127.0.0.1:${workerRedis.port}`,
      prefix: PREFIX,
      rules: new URL('./rules.ts', import.meta.url).href,
      name: `worker ${index + 1}`,
      fallback: SWEEP_EVERY_2_S,
    })
    this.workers[index] = worker
    worker.child.once('exit', () => {
      if (this.workers[index] !== worker || this.stopping) return
      this.broken.push(`worker ${index + 1} ended by itself: ${worker.end}`)
      this.startWorker(index)
    })
  }

  /** Takes a worker out, so that its end is expected. */
  takeWorker(index: number): WorkerProcess | undefined {
    const worker = this.workers[index]
    this.workers[index] = undefined
    return worker
  }

  startShop(seed: number, timersPerSecond: number): Promise<ChildProgram> {
    const config: ShopConfig = {
      databaseUrl: this.postgres.url,
      schema: SCHEMA,
      redisUrl: `redis://127.0.0.1:${this.proxies.shopRedis.port}`,
      prefix: PREFIX,
      seed,
      timersPerSecond,
    }
    return ChildProgram.start(new URL('./shop-main.ts', import.meta.url), config)
  }

  /** Runs statements over a connection of its own; Postgres may be down for a while. */
  async withPostgres<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await waitUntil(() => connectByHand(this.postgres.url, SCHEMA), { within: 10_000, every: 50, what: 'Postgres' })
    try {
      return await work(client)
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** Runs commands on the server itself, past the proxies; Redis may be down for a while. */
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
    this.stopping = true
    await Promise.all(this.workers.map((worker) => worker?.kill()))
    await Promise.all(Object.values(this.proxies).map((proxy) => proxy.stop()))
    await Promise.all([this.redis.stop(), this.postgres.stop()])
  }

  private async createTables(): Promise<void> {
    const client = await connectByHand(this.postgres.url, SCHEMA)
    await client.query(`CREATE SCHEMA ${SCHEMA}`)
    const sequelize = sequelizeOn(this.postgres.url, SCHEMA)
    await defineOrder(sequelize).sync()
    await sequelize.close()
    await Ledger.install(client, { deadline: LEDGER_DEADLINE })
    await client.query(`
      CREATE INDEX ON orders ("createdAt") WHERE status = 1;
      CREATE INDEX ON orders ("confirmDueAt") WHERE status = 4;
      ${EFFECTS_TABLE}`)
    await client.end()
  }
}
