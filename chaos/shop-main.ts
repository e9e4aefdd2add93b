// The shop's process. It creates orders until it is told to stop, and hands its history over.

import { orderTimers } from '../lib/index.js'
import { onTold, ownConfig, tell } from '../test/support/child-program.js'
import { sequelizeOn } from '../test/support/database.js'
import { BY_HAND } from '../test/support/ledger.js'
import { defineOrder } from '../test/support/order.js'
import { Random } from './random.js'
import { makeRules } from './rules.js'
import { Shop } from './shop.js'

export interface ShopConfig {
  databaseUrl: string
  schema: string
  redisUrl: string
  prefix: string
  /** Its connections’ application_name. */
  name: string
  seed: number
  timersPerSecond: number
}

const HISTORY_PORTION = 5000

const config = ownConfig<ShopConfig>()
const sequelize = sequelizeOn(config.databaseUrl, config.schema, {
  pool: { max: 10, acquire: 5000 },
  dialectOptions: { application_name: BY_HAND, statement_timeout: 10_000, query_timeout: 10_000 },
})
const Order = defineOrder(sequelize)
const timers = orderTimers({ logger: false, redis: config.redisUrl, prefix: config.prefix, rules: makeRules(Order, sequelize) })
const shop = new Shop(sequelize, Order, timers, new Random(config.seed))

onTold('stop', () => shop.stop())
process.on('disconnect', () => process.exit(1))
tell({ ready: true })

await shop.run(config.timersPerSecond)
for (let first = 0; first < shop.history.length; first += HISTORY_PORTION)
  tell({ history: shop.history.slice(first, first + HISTORY_PORTION) })
// Whoever disconnects before the pipe has taken it all loses the rest.
await new Promise((resolve) => process.send?.({ finished: true }, resolve))
await timers.close()
await sequelize.close()
process.removeAllListeners('disconnect')
process.disconnect()
