// What happens to an order by a deadline, in this shop.

import { type Duration, orderTimers, transition } from 'express-order-timers'
import type { ModelStatic } from 'sequelize'
import { CANCELLED, COMPLETED, type Order, PAID, PLACED, SHIPPED } from './models.js'

export interface TimersConfig {
  redisUrl: string
  prefix: string
  payAfter: Duration
  confirmAfter: Duration
}

export function makeTimers(OrderModel: ModelStatic<Order>, config: TimersConfig, log: ShopLog) {
  return orderTimers({
    redis: config.redisUrl,
    prefix: config.prefix,
    logger: log,
    rules: {
      // Counted from a column that the table has anyway.
      order_pay: transition(OrderModel, {
        from: PLACED,
        to: CANCELLED,
        since: 'createdAt',
        after: config.payAfter,
        description: (id) => `訂單 ${id} 逾時未付款,自動取消`,
      }),
      // A deadline of each order's own, which the customer can extend.
      order_confirm: transition(OrderModel, {
        from: SHIPPED,
        to: COMPLETED,
        deadline: 'confirmDueAt',
        after: config.confirmAfter,
        description: (id) => `訂單 ${id} 自動確認收貨`,
      }),
      // The warehouse's old service sets these keys itself: SETEX order_unshipped:34 86400 1
      order_unshipped: transition(OrderModel, {
        from: PAID,
        to: CANCELLED,
        deadline: false,
        description: (id) => `訂單 ${id} 逾時未出貨,自動退款`,
      }),
      order_other: async ({ ids }) => log.info(`order_other is due for ${ids.join(', ')}`),
    },
  })
}

export type ShopLog = Pick<Console, 'debug' | 'info' | 'warn' | 'error'>
