// What can be done to an order. Each is one UPDATE that names the status it comes from, so that a click and a timer never overwrite each other: a
// payment that comes while its order is being cancelled has it whole, or is refused (docs/late-payment.md).

import type { Duration } from 'express-order-timers'
import type { Transaction } from 'sequelize'
import { HttpError } from './http-error.js'
import { COMPLETED, Order, PAID, PLACED, SHIPPED, sequelize } from './models.js'
import { timers } from './timers.js'

export type Actor = 'buyer' | 'staff' | 'payment service'

export async function place(buyer: string, items: string, total: number): Promise<Order> {
  return sequelize.transaction(async (transaction) => {
    const order = await Order.create({ buyer, items, total }, { transaction })
    await timers.schedule('order_pay', order, { transaction })
    return order
  })
}

export function pay(order: Order, by: Actor): Promise<void> {
  return sequelize.transaction((transaction) => move(order, PLACED, PAID, by, transaction))
}

export function ship(order: Order): Promise<void> {
  return sequelize.transaction(async (transaction) => {
    await move(order, PAID, SHIPPED, 'staff', transaction)
    await timers.schedule('order_confirm', order, { transaction })
  })
}

export function confirm(order: Order): Promise<void> {
  return sequelize.transaction((transaction) => move(order, SHIPPED, COMPLETED, 'buyer', transaction))
}

export async function extend(order: Order, by: Duration): Promise<void> {
  await timers.extend('order_confirm', order, by)
}

/** The time that is left stands still until the dispute is closed. */
export function openDispute(order: Order): Promise<void> {
  return sequelize.transaction(async (transaction) => {
    await timers.pause('order_confirm', order, { transaction })
    await order.update({ disputeOpen: true }, { transaction })
  })
}

export function closeDispute(order: Order): Promise<void> {
  return sequelize.transaction(async (transaction) => {
    await timers.resume('order_confirm', order, { transaction })
    await order.update({ disputeOpen: false }, { transaction })
  })
}

async function move({ id }: Order, from: number, to: number, movedBy: Actor, transaction: Transaction): Promise<void> {
  const [moved] = await Order.update({ status: to, movedBy }, { where: { id, status: from }, transaction })
  if (moved === 0) throw new HttpError(409, 'too-late')
}
