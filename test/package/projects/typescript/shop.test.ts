// A shop's own test, by express-order-timers/testing.

import { assertNotScheduled, assertScheduled, expire } from 'express-order-timers/testing'
import type { Order } from './models.js'
import { timers, worker } from './shop.js'

export async function confirms(order: Order): Promise<void> {
  const { deadline } = await assertScheduled(timers, 'order_confirm', order, { after: '23h', within: '24h' })
  console.log(deadline.toISOString())
  const settled = await expire(worker, 'order_confirm', order, { within: '2s' })
  console.log(settled.id, settled.latenessMs)
  await assertNotScheduled(timers, 'order_confirm', order.id)
  // @ts-expect-error no rule of this name
  await expire(worker, 'order_cofirm', order)
  // @ts-expect-error no rule of this name
  await assertScheduled(timers, 'order_cofirm', order)
  // @ts-expect-error no duration
  await expire(worker, 'order_confirm', order, { within: 'a while' })
}
