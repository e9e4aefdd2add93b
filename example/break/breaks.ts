// What a visitor may break. Each is what happens to shops, done for real; its code is shown beside its button. What it returns is the `{n}` of
// its words; a 409 says that there was nothing to do.

import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { config, millisecondsOf } from '../config.js'
import { HttpError } from '../http-error.js'
import { Order, PLACED } from '../models.js'
import { pay } from '../orders.js'
import { timers } from '../timers.js'
import type { ShopWorker } from '../workers.js'

const RUSH = 10_000
const FOREIGN = 100_000
/** At a time, so that the shop answers others meanwhile. */
const PORTION = 500
const HERD = '00000000-0000-0000-0000-000000000000'
/** In CLIENT LIST: the worker's connection that listens, and the old recipe's. Others in this Redis are not the shop's. */
const LISTENERS = /^id=(\d+) .* name=(?:express-order-timers:events|old-recipe) /gm

export class Breaks {
  private readonly redis = new Redis(config.redisUrl)

  constructor(private readonly worker: ShopWorker) {}

  /** Redis loses everything, as after a crash without persistence. */
  async flush(): Promise<number> {
    if (process.env.REDIS_IS_OURS !== '1') return this.unlinkOwn()
    const keys = await this.redis.dbsize()
    await this.redis.flushall()
    return keys
  }

  /** For five seconds, every connection that listens to Redis is cut again and again. */
  async cut(): Promise<void> {
    for (const until = Date.now() + 5_000; Date.now() < until; await delay(20)) {
      const clients = String(await this.redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub'))
      for (const [, id] of clients.matchAll(LISTENERS)) await this.redis.call('CLIENT', 'KILL', 'ID', String(id))
    }
  }

  async stop(): Promise<void> {
    await this.worker.stop()
  }

  async start(): Promise<void> {
    await this.worker.start()
    if (this.worker.runsSince === undefined) throw new HttpError(409, 'the worker ended at once')
  }

  /** Its supervisor starts it again a second later. */
  async kill(): Promise<void> {
    if (!this.worker.kill?.()) throw new HttpError(409, 'there is no worker')
  }

  /** Ten thousand orders whose time to pay ends at the same moment, in eight seconds. */
  async rush(): Promise<number> {
    const createdAt = placedToEndIn(8_000)
    for (let done = 0; done < RUSH; done += PORTION) {
      const rows = Array.from({ length: PORTION }, () => ({ buyer: HERD, items: 'rush', total: 1, status: PLACED, createdAt }))
      const orders = await Order.bulkCreate(rows, { returning: ['id', 'createdAt'] })
      await Promise.all(orders.map((order) => timers.schedule('order_pay', order)))
    }
    return RUSH
  }

  /** Another service fills this Redis with a hundred thousand keys of its own, each with a time to live. */
  async foreign(): Promise<number> {
    for (let done = 0; done < FOREIGN; done += PORTION) {
      const pipeline = this.redis.pipeline()
      for (let index = done; index < done + PORTION; index += 1)
        pipeline.setex(`${config.prefix}session:${index}`, 600 + (index % 600), '1')
      await pipeline.exec()
    }
    return FOREIGN
  }

  /** The payment service tells of a payment when the order is cancelled already: the UPDATE changes no row, and the money goes back. */
  async webhook(): Promise<number> {
    const order = await Order.create({ buyer: HERD, items: 'late payment', total: 1, createdAt: placedToEndIn(2_000) })
    await timers.schedule('order_pay', order)
    await delay(3_000)
    const error = await pay(order, 'payment service').catch((thrown) => thrown)
    if (error === undefined) throw new HttpError(409, 'nobody had cancelled it')
    if (error.status !== 409) throw error
    return order.id // here a shop gives the money back
  }

  /** The payment provider is down: no order is cancelled for want of a payment that it cannot take. */
  async hold(): Promise<void> {
    await timers.hold('order_pay', { reason: 'the payment provider is down', by: 'staff' })
  }

  /** It is back. Whoever could not pay meanwhile has 15 seconds more. */
  async release(): Promise<void> {
    await timers.release('order_pay', { grace: '15s' })
  }

  /** In a Redis that has other keys too, it loses the shop's. */
  private async unlinkOwn(): Promise<number> {
    let gone = 0
    for await (const keys of this.redis.scanStream({ match: `${config.prefix}*`, count: 1_000 }))
      if (keys.length > 0) gone += await this.redis.unlink(...keys)
    return gone
  }

  async close(): Promise<void> {
    this.redis.disconnect()
  }
}

/** When an order was placed whose time to pay ends so soon. */
function placedToEndIn(milliseconds: number): Date {
  return new Date(Date.now() - millisecondsOf(config.payAfter) + milliseconds)
}
