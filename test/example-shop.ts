// The smallest shop for one suite: in a schema and under a prefix of its own, with a worker. `close` removes it.

import { randomBytes } from 'node:crypto'
import type { Duration } from 'express-order-timers'
import { dropSchema } from '../example/once/drop-schema.js'
import { openShop, type Shop } from '../example/once/shop.js'

export interface TestShop extends Shop {
  /** What the shop logged as errors. */
  errors: unknown[]
}

export interface TestShopOptions {
  payAfter: Duration
  confirmAfter: Duration
  /** Whether a worker settles its orders. Default: true. */
  worker?: boolean
  /** Takes each statement that the shop sends to Postgres. */
  onStatement?: (sql: string) => void
  /** Default: the example's, with this project's Express. */
  open?: typeof openShop
}

export async function openTestShop({ worker = true, onStatement, open = openShop, ...durations }: TestShopOptions): Promise<TestShop> {
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = process.env
  if (!databaseUrl || !redisUrl) throw new Error('DATABASE_URL and REDIS_URL are not set; run the tests by `npm test`')
  const schema = `t_${randomBytes(6).toString('hex')}`
  const errors: unknown[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (error: unknown) => errors.push(error) }
  const shop = await open({ databaseUrl, redisUrl, schema, prefix: `${schema}:`, ...durations }, log)
  await shop.timers.check()
  if (worker) await shop.startWorker().ready
  if (onStatement) (shop.sequelize as unknown as { options: { logging: unknown } }).options.logging = onStatement
  const close = async () => {
    await shop.close()
    await dropSchema(databaseUrl, schema)
  }
  return { ...shop, errors, close }
}
