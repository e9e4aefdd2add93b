// What happens to an order by a deadline, in this shop. Every command reads it: npx order-timers status --module example/timers.ts

import { orderTimers, transition } from 'express-order-timers'
import { config } from './config.js'
import { CANCELLED, COMPLETED, Order, PLACED, SHIPPED } from './models.js'

export const timers = orderTimers({
  redis: config.redisUrl,
  prefix: config.prefix,
  rules: {
    // Counted from a column that the table has anyway.
    order_pay: transition(Order, {
      from: PLACED,
      to: CANCELLED,
      since: 'createdAt',
      after: config.payAfter,
      set: { movedBy: null }, // by nobody's hand
      history: true,
      description: (id) => `訂單 ${id} 逾時未付款,自動取消`,
    }),
    // A deadline of each order's own, which the buyer can extend, and a dispute pauses.
    order_confirm: transition(Order, {
      from: SHIPPED,
      to: COMPLETED,
      deadline: 'confirmDueAt',
      after: config.confirmAfter,
      pause: { keep: 'confirmLeftMs' },
      set: { movedBy: null },
      history: true,
      description: (id) => `訂單 ${id} 自動確認收貨`,
    }),
  },
})

declare module 'express-order-timers' {
  interface Register {
    timers: typeof timers
  }
}
