// The plain recipe: SETEX for each timer, and an expiry listener that settles. Nothing else, so nothing is made punctual or
// found again. Its commands are pipelined by ioredis, as everything is that shares one connection.
import { Redis } from 'ioredis'
import { confirm, openOrders } from '../order.js'
import { inPortions, type System } from './system.js'

const PREFIX = 'order_confirm:'

export const setexListener: System = {
  async produce({ redisUrl }) {
    const redis = new Redis(redisUrl)
    return {
      schedule: (id, dueAt) => redis.setex(PREFIX + id, Math.ceil((dueAt - Date.now()) / 1000), 1),
      // Deadlines nearer than a second apart need PXAT instead of whole seconds.
      load: (firstId, count, dueAt) =>
        inPortions(count, 10_000, (first, size) => {
          const pipeline = redis.pipeline()
          for (let i = 0; i < size; i += 1) pipeline.set(PREFIX + (firstId + first + i), 1, 'PXAT', dueAt(first + i))
          return pipeline.exec()
        }),
      close: async () => {
        await redis.quit()
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
