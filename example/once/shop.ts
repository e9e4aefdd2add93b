// The whole shop: its database, its timers, its app and the worker, opened together and closed in reverse.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express } from 'express'
import { type ExpiryWorker, startExpiryWorker } from 'express-order-timers'
import type { Config } from '../config.js'
import { createApp } from './app.js'
import { connectDatabase, createTables, type Database } from './models.js'
import { makeTimers, type ShopLog } from './timers.js'

export interface Shop extends Database {
  app: Express
  timers: ReturnType<typeof makeTimers>
  /** Starts a worker in this process. `sweep` is when the sweep runs, as a cron expression; every minute by default. */
  startWorker(sweep?: string): ExpiryWorker
  /** Listens, on a free port where it is 0, and resolves to the page's address. */
  listen(port: number): Promise<string>
  close(): Promise<void>
}

/** Opens the shop, and creates its tables where they are missing. */
export async function openShop(config: Omit<Config, 'port'>, log: ShopLog): Promise<Shop> {
  const database = connectDatabase(config.databaseUrl, config.schema)
  await createTables(database, config.schema)
  return shopOn(database, config, log)
}

/** The shop over tables that exist. */
export function shopOn({ sequelize, Order }: Database, config: Omit<Config, 'port' | 'databaseUrl'>, log: ShopLog): Shop {
  const timers = makeTimers(Order, config, log)
  const app = createApp({ sequelize, Order, timers, log })
  const servers: Server[] = []
  const workers: ExpiryWorker[] = []

  return {
    sequelize,
    Order,
    timers,
    app,
    startWorker(sweep) {
      const worker = startExpiryWorker(app, sweep === undefined ? {} : { fallback: sweep })
      workers.push(worker)
      return worker
    },
    async listen(port) {
      const server = createServer(app).listen(port, '127.0.0.1')
      servers.push(server)
      await once(server, 'listening')
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    },
    async close() {
      await Promise.all(servers.map(closeServer))
      await Promise.all(workers.map((worker) => worker.stop()))
      await timers.close()
      await sequelize.close()
    },
  }
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  await closed
}
