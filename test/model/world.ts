// A shop and its workers, on real servers. All of a worker's connections go through proxies of its own, so that it can die as by SIGKILL:
// everything that it has open is cut at once, and nothing of it reaches a server any more.

import { type ModelStatic, QueryTypes, type Sequelize } from 'sequelize'
import { type OrderTimers, type Rules, startExpiryWorker, transition } from '../../lib/index.js'
import { EVERY_SECOND } from '../faults/confirming.js'
import { closeProxies, openProxies, type Proxies, withPort } from '../faults/own-worker.js'
import { type Database, openDatabase } from '../support/database.js'
import { BY_HAND } from '../support/ledger.js'
import type { OrderRow } from '../support/order.js'
import { openRedis, type TestRedis } from '../support/redis.js'
import { makeTimers, type TestWorker, watched } from '../support/shop.js'
import { SettableClock } from './settable-clock.js'

const LEASE_MS = 1000

export const KIND = 'order_confirm'

interface OwnWorker {
  worker: TestWorker
  proxies: Proxies
  end(): Promise<void>
}

export class World {
  readonly workers: OwnWorker[] = []
  private readonly ending: Promise<void>[] = []

  private constructor(
    readonly database: Database,
    readonly redis: TestRedis,
    readonly clock: SettableClock,
    readonly sequelize: Sequelize,
    readonly Order: ModelStatic<OrderRow>,
    readonly timers: OrderTimers<Rules>,
  ) {}

  static async open(): Promise<World> {
    const [database, redis] = await Promise.all([openDatabase(), openRedis()])
    const clock = await SettableClock.install(database)
    await database.client.query('CREATE TABLE effects (order_id int NOT NULL)')
    const { sequelize, Order } = connect(database, clock, BY_HAND)
    const timers = makeTimers(rules(Order, sequelize), { redis: redis.url, prefix: redis.prefix })
    return new World(database, redis, clock, sequelize, Order, timers)
  }

  /** Starts one and does not wait until it is ready. */
  async startWorker(): Promise<void> {
    const { database, redis } = this
    const proxies = await openProxies({ database, redis })
    const { sequelize, Order } = connect(database, this.clock, 'worker', withPort(database.url, proxies.postgres.port))
    const timers = makeTimers(rules(Order, sequelize), { redis: withPort(redis.url, proxies.redis.port), prefix: redis.prefix })
    const worker = watched(startExpiryWorker(timers, { fallback: EVERY_SECOND, lease: LEASE_MS }))
    const end = async (): Promise<void> => {
      await worker.stop()
      await timers.close()
      await sequelize.close()
      await closeProxies(proxies)
    }
    this.workers.push({ worker, proxies, end })
  }

  async stopWorker(index: number): Promise<void> {
    await this.workers.splice(index, 1)[0]?.end()
  }

  crashWorker(index: number): void {
    const [own] = this.workers.splice(index, 1)
    if (!own) return
    own.proxies.redis.refuse()
    own.proxies.postgres.refuse()
    this.ending.push(own.end())
  }

  async close(): Promise<void> {
    while (this.workers.length > 0) await this.stopWorker(0)
    await Promise.all(this.ending)
    await this.timers.close()
    await Promise.all([this.database.close(), this.redis.close()])
  }
}

function connect(database: Database, clock: SettableClock, name: string, url = database.url) {
  const options = `-c search_path=${clock.searchPath.replace(' ', '')}`
  return database.connectSequelize({ url, dialectOptions: { options, application_name: name } })
}

function rules(Order: ModelStatic<OrderRow>, sequelize: Sequelize): Rules {
  return {
    [KIND]: transition(Order, {
      from: 4,
      to: 5,
      deadline: 'confirmDueAt',
      run: async (orders, { transaction }) => {
        const bind = [orders.map(({ id }) => id)]
        await sequelize.query('INSERT INTO effects SELECT unnest($1::int[])', { bind, transaction, type: QueryTypes.INSERT })
      },
    }),
  }
}
