// A shop of a test's own: a schema with its orders, a prefix in Redis, timers over them, and workers. `close` stops and drops it all.

import type { SettledOrder, WorkerEvents, WorkerOptions } from '../../lib/index.js'
import {
  type ExpiryWorker,
  type OrderTimers,
  type OrderTimersOptions,
  orderTimers,
  type Rules,
  startExpiryWorker,
} from '../../lib/index.js'
import { type Database, type DatabaseOptions, openDatabase } from './database.js'
import { enter } from './opened.js'
import { openRedis, type TestRedis } from './redis.js'

export interface ShopOptions extends Omit<OrderTimersOptions, 'rules'> {
  database?: DatabaseOptions
  /** Where Redis is, for the timers and for `shop.redis`. Default: REDIS_URL. */
  redisUrl?: string
}

export interface Shop<R extends Rules> {
  readonly database: Database
  readonly redis: TestRedis
  readonly timers: OrderTimers<R>
  /** Inserts an order as the shop would, and returns its id. */
  order(values?: object): Promise<number>
  statusOf(id: number): Promise<number>
  /** Starts a worker and waits until it is ready. */
  worker(options?: WorkerOptions): Promise<TestWorker>
  /** The name of a key under the shop's prefix. */
  key(name: string): string
  close(): Promise<void>
}

export interface TestWorker extends ExpiryWorker {
  /** Everything that it settled, in order, with how it came to be. */
  readonly settled: (SettledOrder & { kind: string; via: string })[]
  readonly faultsTold: WorkerEvents['fault'][0][]
  readonly staleTold: WorkerEvents['stale'][0][]
  readonly undatedTold: WorkerEvents['undated'][0][]
  readonly deadTold: WorkerEvents['dead'][0][]
}

export async function openShop<const R extends Rules>(makeRules: (database: Database) => R, options: ShopOptions = {}): Promise<Shop<R>> {
  const { database: databaseOptions, redisUrl, ...more } = options
  const redis = await openRedis(redisUrl === undefined ? {} : { url: redisUrl })
  const database = await openDatabase(databaseOptions)
  const timers = makeTimers(makeRules(database), { redis: redis.url, prefix: redis.prefix, ...more })
  const workers: ExpiryWorker[] = []

  const close = async (): Promise<void> => {
    await Promise.all(workers.map((worker) => worker.stop()))
    await timers.close()
    await Promise.all([database.close(), redis.close()])
  }
  return {
    database,
    redis,
    timers,
    close,
    key: (name) => redis.prefix + name,
    async order(values = {}) {
      return (await database.Order.create(values)).id
    },
    async statusOf(id) {
      return (await database.Order.unscoped().findByPk(id, { rejectOnEmpty: true })).status
    },
    async worker(workerOptions = {}) {
      const worker = watched(startExpiryWorker(timers, workerOptions))
      workers.push(worker)
      await worker.ready
      return worker
    },
  }
}

/** Timers that count as open until they are closed. Silent, unless a test gives a logger, or `logger: undefined` for what a shop without one sees. */
export function makeTimers<const R extends Rules>(rules: R, options: Omit<OrderTimersOptions, 'rules'>): OrderTimers<R> {
  const timers = orderTimers({ logger: false, ...options, rules })
  const close = timers.close
  const strikeOut = enter('timers', () => timers.close())
  return Object.assign(timers, { close: () => close().finally(strikeOut) })
}

/** A worker that counts as open until it is stopped, and remembers what it told. */
export function watched(worker: ExpiryWorker): TestWorker {
  const settled: TestWorker['settled'] = []
  const faultsTold: TestWorker['faultsTold'] = []
  const staleTold: TestWorker['staleTold'] = []
  const undatedTold: TestWorker['undatedTold'] = []
  const deadTold: TestWorker['deadTold'] = []
  worker.on('settled', ({ kind, via, orders }) => settled.push(...orders.map((order) => ({ ...order, kind, via }))))
  worker.on('fault', (fault) => faultsTold.push(fault))
  worker.on('stale', (stale) => staleTold.push(stale))
  worker.on('undated', (undated) => undatedTold.push(undated))
  worker.on('dead', (dead) => deadTold.push(dead))
  worker.once(
    'stopped',
    enter('worker', () => worker.stop()),
  )
  return Object.assign(worker, { settled, faultsTold, staleTold, undatedTold, deadTold })
}
