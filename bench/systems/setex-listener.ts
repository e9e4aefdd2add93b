// The plain recipe: SETEX for each timer, and an expiry listener that settles. Nothing else, so nothing is made punctual or
// found again. Its commands are pipelined by ioredis, as everything is that shares one connection.
import { Redis } from 'ioredis'
import { confirm, Order, openOrders, SHIPPED } from '../order.js'
import { inPortions, type System } from './system.js'

/** With the deadline on the order's row too. */
export const ON_ROW = 'row'

const PREFIX = 'order_confirm:'

export const setexListener: System = {
  async produce({ redisUrl, databaseUrl, variant }) {
    const redis = new Redis(redisUrl)
    const sequelize = variant === ON_ROW ? openOrders(databaseUrl) : undefined
    const setex = (id: number, dueAt: number) => redis.setex(PREFIX + id, Math.ceil((dueAt - Date.now()) / 1000), 1)
    return {
      schedule: async (id, dueAt) => {
        if (sequelize) await Order.update({ confirmDueAt: new Date(dueAt) }, { where: { id, status: SHIPPED } })
        return setex(id, dueAt)
      },
      // Deadlines nearer than a second apart need PXAT instead of whole seconds.
      load: (firstId, count, dueAt) =>
        inPortions(count, 10_000, (first, size) => {
          const pipeline = redis.pipeline()
          for (let i = 0; i < size; i += 1) pipeline.set(PREFIX + (firstId + first + i), 1, 'PXAT', dueAt(first + i))
          return pipeline.exec()
        }),
      close: async () => {
        await redis.quit()
        await sequelize?.close()
      },
    }
  },

  async work({ redisUrl, databaseUrl }) {
    const sequelize = openOrders(databaseUrl)
    const redis = new Redis(redisUrl)
    let handled = 0
    redis.on('message', (_channel: string, key: string) => {
      if (!key.startsWith(PREFIX)) return
      handled += 1
      confirm(Number(key.slice(PREFIX.length))).catch((error) => console.error(error))
    })
    await redis.subscribe('__keyevent@0__:expired')
    return {
      handled: () => handled,
      close: async () => {
        redis.disconnect()
        await sequelize.close()
      },
    }
  },
}
