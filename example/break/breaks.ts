// What a visitor may break. Each is what happens to shops, done for real; its code is shown beside its button.

import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { config, millisecondsOf } from '../config.js'
import { Order, PLACED } from '../models.js'
import { pay, place } from '../orders.js'
import { timers } from '../timers.js'
import type { ShopWorker } from '../workers.js'

const RUSH = 10_000
const FOREIGN = 100_000
const HERD = '00000000-0000-0000-0000-000000000000'

export class Breaks {
  private readonly redis = new Redis(config.redisUrl)

  constructor(private readonly worker: ShopWorker) {}

  /** Redis loses everything, as after a crash without persistence. */
  async flush(): Promise<void> {
    if (process.env.REDIS_IS_OURS === '1') await this.redis.flushall()
    else
      for await (const keys of this.redis.scanStream({ match: `${config.prefix}*` })) if (keys.length > 0) await this.redis.unlink(...keys)
  }

  /** For five seconds, every connection that listens to Redis is cut again and again. */
  async cut(): Promise<void> {
    for (const until = Date.now() + 5_000; Date.now() < until; await delay(50)) await this.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  }

  async stop(): Promise<void> {
    await this.worker.stop()
  }

  async start(): Promise<void> {
    await this.worker.start()
  }

  /** Its supervisor starts it again a second later. */
  async kill(): Promise<void> {
    this.worker.kill?.()
  }

  /** Ten thousand orders whose time to pay ends at the same moment, in eight seconds. */
  async rush(): Promise<void> {
    const seconds = 8
    const createdAt = new Date(Date.now() - millisecondsOf(config.payAfter) + seconds * 1_000)
    const rows = Array.from({ length: RUSH }, () => ({ buyer: HERD, items: 'rush', total: 1, status: PLACED, createdAt }))
    const orders = await Order.bulkCreate(rows, { returning: ['id', 'createdAt'] })
    await Promise.all(orders.map((order) => timers.schedule('order_pay', order)))
  }

  /** Another service fills this Redis with a hundred thousand keys of its own, each with a time to live. */
  async foreign(): Promise<void> {
    for (let done = 0; done < FOREIGN; done += 5_000) {
      const pipeline = this.redis.pipeline()
      for (let index = done; index < done + 5_000; index += 1) pipeline.setex(`${config.prefix}session:${index}`, 600 + (index % 600), '1')
      await pipeline.exec()
    }
  }

  /** The payment service tells of a payment when the order is cancelled already: the UPDATE changes no row, and the money goes back. */
  async webhook(): Promise<void> {
    const order = await place(HERD, 'late payment', 1)
    await delay(millisecondsOf(config.payAfter) + 1_000)
    await pay(order, 'payment service').catch((error) => {
      if (error.status !== 409) throw error
      console.info(`order ${order.id} was cancelled before the payment came: the money goes back`)
    })
  }

  /** The payment provider is down: no order is cancelled for want of a payment that it cannot take. */
  async hold(): Promise<void> {
    await timers.hold('order_pay', { reason: 'the payment provider is down', by: 'staff' })
  }

  /** It is back. Whoever could not pay meanwhile has 15 seconds more. */
  async release(): Promise<void> {
    await timers.release('order_pay', { grace: '15s' })
  }

  async close(): Promise<void> {
    this.redis.disconnect()
  }
}
