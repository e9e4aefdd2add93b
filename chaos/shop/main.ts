// A process of the shop. It creates orders until it is told to stop, then ends what it has begun, says so, and ends. What it asked for and was
// answered is in its journal.

import { orderTimers } from '../../lib/index.js'
import { onTold, ownConfig, tell } from '../../test/support/child-program.js'
import { ClsNamespace } from '../../test/support/cls-namespace.js'
import { sequelizeOn } from '../../test/support/database.js'
import { trueNow } from '../history.js'
import { Journal } from '../journal.js'
import { Random } from '../random.js'
import { clientOf, type RedisAddress } from '../redis-address.js'
import { makeRules } from '../rules.js'
import { defineTables } from '../tables.js'
import { Acts } from './acts.js'
import { Agenda } from './agenda.js'
import { Peers } from './peers.js'
import { CARTS } from './scenes/carts.js'
import { COUPONS, release, releaseTheRest, settleBills } from './scenes/coupons.js'
import { DUELS } from './scenes/duels.js'
import { NOTES } from './scenes/notes.js'
import { ORDERS } from './scenes/orders.js'
import { PARCELS } from './scenes/parcels.js'
import { RENTALS } from './scenes/rentals.js'
import { Shop } from './shop.js'
import { Wishes } from './wishes.js'

export interface ShopConfig {
  databaseUrl: string
  /** A search_path. */
  schema: string
  redis: RedisAddress
  prefix: string
  /** `shop 1` …: its connections' application_name. */
  name: string
  /** Where the run's processes keep their journals. */
  directory: string
  seed: number
  ordersPerSecond: number
  /** How many processes of the shop's were started before this one, of this name or another. */
  before: number
}

/** A process makes fewer wishes than this. */
const NUMBERS = 10_000_000
const RELEASE_EVERY_MS = 2000
const CLOSING_WITHIN_MS = 60_000

const config = ownConfig<ShopConfig>()
// What is passed a transaction, and what has none, must not notice.
ClsNamespace.use()
const sequelize = sequelizeOn(config.databaseUrl, config.schema, {
  pool: { max: 10, acquire: 5000 },
  dialectOptions: { application_name: config.name, statement_timeout: 10_000, query_timeout: 10_000 },
})
const tables = defineTables(sequelize)
const timers = orderTimers({ logger: false, redis: config.redis as never, prefix: config.prefix, rules: makeRules(tables, sequelize) })
const redis = clientOf(config.redis, {
  maxRetriesPerRequest: 1,
  commandTimeout: 2000,
  enableOfflineQueue: false,
  retryStrategy: () => 200,
})
redis.on('error', () => {})
const wishes = new Wishes(new Journal(config.directory, config.name), config.before * NUMBERS)
const acts = new Acts(sequelize, tables, timers, wishes)
const agenda = new Agenda()
const peers = await Peers.open(config.directory, config.name, config.before, ({ act, at }) => {
  agenda.later(Math.max(0, at - trueNow()), async () => void (await acts.do(act)))
})
const shop = new Shop(sequelize, tables, timers, redis, config.prefix, wishes, acts, agenda, peers, new Random(config.seed))

onTold('stop', () => shop.stop())
process.on('disconnect', () => process.exit(1))
// Models are hooked before the first order.
await timers.check().catch(() => {})
tell({ ready: true })

// One person at a time looks after the brake.
const releasing = setInterval(() => void (config.name === 'shop 1' && release(shop)), RELEASE_EVERY_MS)
await shop.run([...ORDERS, ...PARCELS, ...RENTALS, ...CARTS, ...COUPONS, ...NOTES, ...DUELS], config.ordersPerSecond)
/** Its own. The first shop also looks after those of processes that were killed. */
const isOwn = (id: string) => {
  const creator = Math.floor(Number(id.slice(2)) / NUMBERS)
  return creator === config.before || (config.name === 'shop 1' && !peers.alive.includes(creator))
}
await Promise.all([
  settleBills(shop, CLOSING_WITHIN_MS, isOwn),
  config.name === 'shop 1' ? releaseTheRest(shop, CLOSING_WITHIN_MS) : undefined,
])
clearInterval(releasing)
await agenda.finish()
// Whoever disconnects before the pipe has taken it loses it.
await new Promise((resolve) => process.send?.({ finished: { wishes: wishes.count } }, resolve))
peers.close()
redis.disconnect()
await timers.close()
await sequelize.close()
process.removeAllListeners('disconnect')
process.disconnect()
