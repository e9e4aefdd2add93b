// The whole shop: its tables, its app and its worker, opened together and closed in reverse.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createApp } from './app.js'
import { Breaks } from './break/breaks.js'
import { OldRecipe } from './break/old-recipe.js'
import { breakPages } from './break/pages.js'
import { config } from './config.js'
import { sequelize } from './models.js'
import { timers } from './timers.js'
import { type ShopWorker, WorkerHere, WorkerProcess } from './workers.js'

const CLOSE_IDLE_EVERY_MS = 50

export interface Shop {
  address: string
  worker: ShopWorker
  close(): Promise<void>
}

/** @param separate whether the worker is a process of its own */
export async function openShop(port: number, separate: boolean): Promise<Shop> {
  await createTables()
  const worker = separate ? new WorkerProcess() : new WorkerHere()
  const oldRecipe = new OldRecipe()
  const breaks = new Breaks(worker)
  const server = createServer(createApp(breakPages(breaks, worker, oldRecipe))).listen(port, '127.0.0.1')
  await once(server, 'listening')
  await worker.start()
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    worker,
    async close() {
      const closed = once(server, 'close')
      server.close()
      // A page that asks every second would keep a connection open that was busy a moment ago.
      const closing = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS)
      void closed.then(() => clearInterval(closing))
      const ended = timers.close() // ends the streams, for which the server waits
      await Promise.all([closed, ended, worker.stop(), breaks.close(), oldRecipe.close()])
      await sequelize.close()
    },
  }
}

/** A shop has migrations of its own, and keeps what `npx order-timers migration --sql` prints among them; here it is run as it is printed. */
async function createTables(): Promise<void> {
  await sequelize.query(`CREATE SCHEMA IF NOT EXISTS "${config.schema}"`)
  await sequelize.sync()
  const [program, module] = [
    createRequire(import.meta.url).resolve('express-order-timers/package.json'),
    new URL('timers.ts', import.meta.url),
  ]
  const args = [join(dirname(program), 'dist/esm/cli/main.js'), 'migration', '--sql', '--module', fileURLToPath(module)]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  await sequelize.query(stdout)
  await sequelize.query(OldRecipe.table)
}
