// Everything that runs in a chaos run: Redis and Postgres, and the workers and the shops, each on a host with its own links.
// Faults act upon it. A process that ends without having been told to is written down as a broken promise.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Client } from 'pg'
import { ChildProgram } from '../test/support/child-program.js'
import { connectByHand, sequelizeOn } from '../test/support/database.js'
import type { PostgresServer } from '../test/support/postgres-server.js'
import type { RedisServer } from '../test/support/redis-server.js'
import { waitUntil } from '../test/support/waiting.js'
import { trueNow } from './history.js'
import { Host } from './host.js'
import type { Link } from './link.js'
import { installMovedClock, movePostgresClock } from './moved-clock.js'
import { bundlePrograms, type Programs } from './programs.js'
import { createTables } from './schema.js'
import { ClusterRedis } from './servers/cluster-redis.js'
import { OneRedis } from './servers/one-redis.js'
import { PostgresSite } from './servers/postgres-site.js'
import { GIVES_UP, type RedisSite } from './servers/redis-site.js'
import { SentinelRedis } from './servers/sentinel-redis.js'
import type { Topology } from './servers/topology.js'
import type { ShopConfig } from './shop/main.js'
import { Slowdown } from './slowdown.js'
import type { WorkerConfig } from './worker-main.js'

export const SCHEMA = 'chaos'
/** The schema's clock before the built-in one: see moved-clock.ts. */
const SEARCH_PATH = `${SCHEMA},pg_catalog`
/** As whom workers and shops log in. */
export const HOSTS_ROLE = 'shop'
const SWEEP_EVERY_2_S = '*/2 * * * * *'
export const SWEEP_MS = 2000
export const PREFIX = 'chaos:'
/** A process of a run in which everything is down for seconds, on a busy machine. */
const READY_WITHIN_MS = 120_000
/** The same with nothing down, on a machine that has time for it. */
const STARTING_MS = 30_000
const SHOP_ENDS_WITHIN_MS = 120_000

const REDIS = { server: OneRedis, sentinel: SentinelRedis, cluster: ClusterRedis }

export interface WorldOptions {
  topology: Topology
  seed: number
  workers: number
  shops: number
  /** Of all shops together. */
  ordersPerSecond: number
  /** The directory of another checkout, whose `lib` some workers run. */
  beside?: string | undefined
}

export class World {
  readonly workers: Host[] = []
  readonly shops: Host[] = []
  /** The journals of all processes. */
  readonly directory = mkdtempSync(join(tmpdir(), 'order-timers-chaos-'))
  /** What must not have happened and did, in plain words. */
  readonly broken: string[] = []
  /** When Postgres's clock was moved, by the clock that is not. */
  readonly clockMoves: { at: number; offsetMs: number }[] = []
  private shopsStarted = 0
  private closing = false

  private constructor(
    readonly redis: RedisSite,
    private readonly postgresSite: PostgresSite,
    private readonly programs: Programs,
    private readonly others: Programs | undefined,
    private readonly options: WorldOptions,
  ) {}

  static async open(options: WorldOptions): Promise<World> {
    const worker = new URL('./worker-main.ts', import.meta.url)
    const shop = new URL('./shop/main.ts', import.meta.url)
    const servers = [REDIS[options.topology.redis].open(), PostgresSite.open(options.topology.postgres)] as const
    const [redis, postgres] = await Promise.all(servers).catch(async (error) => {
      for (const opened of await Promise.allSettled(servers)) if (opened.status === 'fulfilled') await opened.value.stop()
      throw error
    })
    const [programs, others] = await Promise.all([
      bundlePrograms({ worker, shop }),
      options.beside === undefined ? undefined : bundlePrograms({ worker }, join(options.beside, 'lib')),
    ])
    const world = new World(redis, postgres, programs, others, options)
    try {
      await world.createTables()
      await world.startHosts()
    } catch (error) {
      await world.close()
      throw error
    }
    return world
  }

  get hosts(): Host[] {
    return [...this.workers, ...this.shops]
  }

  /** Whether workers can be given the other checkout's `lib`. */
  get hasOther(): boolean {
    return this.others !== undefined
  }

  /** The links of some hosts to Redis or to Postgres. */
  links(server: 'redis' | 'postgres', hosts: readonly Host[] = this.hosts): Link[] {
    return hosts.map((host) => host.links[server])
  }

  /** The server that takes writes now. */
  get postgres(): PostgresServer {
    return this.postgresSite.primary
  }

  get postgresStandby(): PostgresServer | undefined {
    return this.postgresSite.standby
  }

  failPostgresOver(): Promise<void> {
    return this.postgresSite.failOver(this.links('postgres'))
  }

  addPostgresStandby(): Promise<void> {
    return this.postgresSite.addStandby()
  }

  async movePostgresClock(byMs: number): Promise<void> {
    this.clockMoves.push({ at: trueNow(), offsetMs: byMs })
    await this.withPostgres((client) => movePostgresClock(client, byMs))
  }

  /** Resolves when the shops have ended what they had begun. */
  async closeShops(): Promise<void> {
    await Promise.all(
      this.shops.map(async (host) => {
        const process = host.take()
        const end = await process?.stop(SHOP_ENDS_WITHIN_MS).catch(async (error: Error) => {
          await process.kill()
          return error.message
        })
        if (end !== 0) this.broken.push(`${host.name} was told to stop and ended with ${end}`)
      }),
    )
  }

  /** Until every process is ready; one that does not become ready is a broken promise. */
  async everybodyReady(): Promise<void> {
    const late = () => this.hosts.filter(({ ready }) => !ready)
    const slowdown = new Slowdown()
    const beganAt = performance.now()
    const allowedMs = () => Math.max(READY_WITHIN_MS, STARTING_MS * slowdown.worst)
    while (late().length > 0 && performance.now() - beganAt < allowedMs()) await delay(50)
    slowdown.stop()
    if (late().length === 0) return
    const allowed = `${Math.round(allowedMs() / 1000)} s, at a slowdown of ${slowdown.worst}`
    this.broken.push(`${late().map(({ name }) => name)} did not become ready within ${allowed}`)
  }

  /** Runs statements over a connection of its own; Postgres may be down for a while. */
  async withPostgres<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await waitUntil(() => connectByHand(this.postgres.url, SEARCH_PATH), { within: 20_000, every: 50, what: 'Postgres' })
    try {
      return await work(client)
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** Runs commands on the data, past the links; Redis may be down for a while. */
  withRedis<T>(work: (client: Redis) => Promise<T>): Promise<T> {
    return inTheEnd(async () => using(await this.redis.connect(), work))
  }

  /** Runs commands on each server that has the timers now, likewise. */
  onPrimaries<T>(work: (client: Redis) => Promise<T>): Promise<T[]> {
    return inTheEnd(async () => this.on(await this.redis.primaries(), work))
  }

  /** Runs commands on each server that answers, and on no other. */
  onServers<T>(work: (client: Redis) => Promise<T>): Promise<T[]> {
    return inTheEnd(() =>
      this.on(
        this.redis.servers.filter(({ answering }) => answering),
        work,
      ),
    )
  }

  async close(): Promise<void> {
    this.closing = true
    await Promise.all(this.hosts.map((host) => host.close()))
    await Promise.all([this.redis.stop(), this.postgresSite.stop()])
    this.programs.remove()
    this.others?.remove()
    rmSync(this.directory, { recursive: true, force: true })
  }

  private on<T>(servers: readonly RedisServer[], work: (client: Redis) => Promise<T>): Promise<T[]> {
    return Promise.all(servers.map(({ url }) => using(new Redis(url, GIVES_UP as never), work)))
  }

  private async startHosts(): Promise<void> {
    const ports = { redis: this.redis.ports, postgres: [this.postgres.port] }
    const onOwnEnd = (host: Host, end: number | string | null) => this.restartAfter(host, end)
    for (let n = 1; n <= this.options.workers; n += 1)
      this.workers.push(await Host.open(`worker ${n}`, ports, (host) => this.launchWorker(host), onOwnEnd))
    for (let n = 1; n <= this.options.shops; n += 1)
      this.shops.push(await Host.open(`shop ${n}`, ports, (host) => this.launchShop(host), onOwnEnd))
    // A worker's first sweep ends sooner where there is nothing to do.
    for (const hosts of [this.workers, this.shops]) await Promise.all(hosts.map((host) => host.start().receive('ready', READY_WITHIN_MS)))
  }

  private connections({ name, links }: Host) {
    return {
      databaseUrl: `postgres://${HOSTS_ROLE}@127.0.0.1:${links.postgres.ports[0]}/postgres`,
      schema: SEARCH_PATH,
      redis: this.redis.addressBy(links.redis.ports),
      prefix: PREFIX,
      name,
      directory: this.directory,
    }
  }

  private launchWorker(host: Host): ChildProgram {
    const { deployment } = host
    const program = deployment.other === true ? this.others : this.programs
    const config: WorkerConfig = { ...this.connections(host), fallback: SWEEP_EVERY_2_S, deployment }
    return ChildProgram.launch(program!.files.worker!, config)
  }

  private launchShop(host: Host): ChildProgram {
    const before = this.shopsStarted
    this.shopsStarted += 1
    const { seed, ordersPerSecond, shops } = this.options
    const config: ShopConfig = {
      ...this.connections(host),
      seed: (seed + before * 7919) % 2 ** 31,
      ordersPerSecond: ordersPerSecond / shops,
      before,
    }
    return ChildProgram.launch(this.programs.files.shop!, config)
  }

  private restartAfter(host: Host, end: number | string | null): void {
    if (this.closing) return
    this.broken.push(`${host.name} ended by itself: ${end}`)
    // One that never became ready would not do so at the next try.
    if (host.wasReady) host.start()
  }

  private async createTables(): Promise<void> {
    const client = await connectByHand(this.postgres.url, SEARCH_PATH)
    const sequelize = sequelizeOn(this.postgres.url, SEARCH_PATH)
    await client.query(`CREATE SCHEMA ${SCHEMA}`)
    await installMovedClock(client, SCHEMA)
    await createTables(client, sequelize, SCHEMA)
    await client.query(`CREATE ROLE ${HOSTS_ROLE} LOGIN; GRANT ALL ON SCHEMA ${SCHEMA} TO ${HOSTS_ROLE};
      GRANT ALL ON ALL TABLES IN SCHEMA ${SCHEMA} TO ${HOSTS_ROLE}; GRANT ALL ON ALL SEQUENCES IN SCHEMA ${SCHEMA} TO ${HOSTS_ROLE}`)
    await sequelize.close()
    await client.end()
  }
}

async function using<T>(client: Redis, work: (client: Redis) => Promise<T>): Promise<T> {
  client.on('error', () => {})
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

async function inTheEnd<T>(work: () => Promise<T>): Promise<T> {
  const { answer } = await waitUntil(async () => ({ answer: await work() }), { within: 20_000, every: 50, what: 'Redis' })
  return answer
}
