// When a run is over: nothing is due or coming, in Postgres nor only in Redis, and no delivery is pending.

import { setTimeout as delay } from 'node:timers/promises'
import { Keys } from '../lib/keys.js'
import { pendingOrders } from './pending.js'
import { RULES } from './rules.js'
import { PREFIX, type World } from './world.js'

const LOOK_EVERY_MS = 300
const REDIS_ONLY = RULES.filter(({ deadline }) => deadline === 'redis').map(({ kind }) => kind)

/** In words. The judge sees for itself what is left in Postgres. */
export interface Left {
  inPostgres: string[]
  inRedis: string[]
}

/** Resolves to what is still pending when the time is up; to nothing where all became quiet. */
export async function waitForQuiet(world: World, withinMs: () => number): Promise<Left> {
  const beganAt = performance.now()
  for (;;) {
    const left = await whatIsPending(world).catch((error: Error): Left => ({ inPostgres: [error.message], inRedis: [] }))
    if (left.inPostgres.length + left.inRedis.length === 0 || performance.now() - beganAt > withinMs()) return left
    await delay(LOOK_EVERY_MS)
  }
}

async function whatIsPending(world: World): Promise<Left> {
  const rows = await world.withPostgres(async (client) => {
    const deliveries = await client.query('SELECT FROM order_timers_history WHERE next_try IS NOT NULL')
    const orders = (await pendingOrders(client)).map(({ kind, count }) => `${count} of ${kind}`)
    return deliveries.rowCount ? [...orders, `${deliveries.rowCount} deliveries`] : orders
  })
  const keys = new Keys(PREFIX, world.redis.topology === 'cluster')
  const timers = await world.withRedis((client) =>
    Promise.all(
      REDIS_ONLY.map(async (kind) => {
        const names = keys.everyPartition.flatMap((partition) => {
          const { due, leases } = keys.sets(kind, partition)
          return [due, leases]
        })
        const counts = await Promise.all(names.map((name) => client.zcard(name)))
        return { kind, count: counts.reduce((sum, one) => sum + one, 0) }
      }),
    ),
  )
  return { inPostgres: rows, inRedis: timers.filter(({ count }) => count > 0).map(({ kind, count }) => `${count} of ${kind} in Redis`) }
}
