// The routes of orders. A status changes by an UPDATE that names the status it comes from, so that a route and a timer, or two routes,
// never overwrite each other: a payment that comes while its order is being cancelled has it whole, or is refused (docs/late-payment.md).

import type { Request, Router } from 'express'
import type { Duration } from 'express-order-timers'
import { HttpError } from '../http-error.js'
import { catchingRouter } from '../router.js'
import { COMPLETED, type Database, type Order, PAID, PLACED, SHIPPED } from './models.js'

const pageSize = 50
const countedDown = [
  [PLACED, 'order_pay'],
  [SHIPPED, 'order_confirm'],
] as const

export function orderRoutes({ sequelize, Order }: Database): Router {
  const router = catchingRouter()

  router.get('/', async (req, res) => {
    const orders = await Order.findAll({ order: [['id', 'DESC']], limit: pageSize })
    res.json({ orders: await withCountdowns(req, orders) })
  })

  router.post('/', async (req, res) => {
    const { item } = req.body ?? {}
    if (typeof item !== 'string' || item.trim() === '' || item.length > 100) {
      throw new HttpError(400, 'say which item, in 100 characters at most: {"item":"tea"}')
    }
    const order = await sequelize.transaction(async (transaction) => {
      const placed = await Order.create({ item: item.trim() }, { transaction })
      await req.orderTimers.schedule('order_pay', placed, { transaction })
      return placed
    })
    res
      .status(201)
      .location(`/orders/${order.id}`)
      .json(await withCountdown(req, order))
  })

  router.get('/:id', async (req, res) => {
    const order = await findOrder(req)
    res.json({ ...(await withCountdown(req, order)), timers: await req.orderTimers.list(order) })
  })

  router.post('/:id/pay', async (req, res) => {
    res.json(await withCountdown(req, await move(req, PLACED, PAID)))
  })

  router.post('/:id/ship', async (req, res) => {
    const order = await findOrder(req)
    const timer = await sequelize.transaction(async (transaction) => {
      const [shipped] = await Order.update({ status: SHIPPED }, { where: { id: order.id, status: PAID }, transaction })
      if (shipped === 0) throw new HttpError(409, `order ${order.id} is not waiting to be shipped`)
      return req.orderTimers.schedule('order_confirm', order, { transaction })
    })
    res.json({ ...(await withCountdown(req, await order.reload())), confirmsAt: timer.deadline })
  })

  router.post('/:id/confirm', async (req, res) => {
    res.json(await withCountdown(req, await move(req, SHIPPED, COMPLETED)))
  })

  router.post('/:id/extend', async (req, res) => {
    const order = await findOrder(req)
    const timer = await req.orderTimers.extend('order_confirm', order, req.body?.by as Duration)
    res.json({ ...(await withCountdown(req, order)), confirmsAt: timer.deadline })
  })

  async function findOrder(req: Request): Promise<Order> {
    const id = String(req.params.id)
    const order = /^\d{1,9}$/.test(id) ? await Order.findByPk(id) : null
    if (order === null) throw new HttpError(404, `there is no order ${id}`)
    return order
  }

  async function move(req: Request, from: number, to: number): Promise<Order> {
    const order = await findOrder(req)
    const [moved] = await Order.update({ status: to }, { where: { id: order.id, status: from } })
    if (moved === 0) throw new HttpError(409, `order ${order.id} has status ${(await order.reload()).status}, and this needs ${from}`)
    return order.reload()
  }

  return router
}

/** The order with the milliseconds that are left until a timer moves it; null where none will. */
async function withCountdown(req: Request, order: Order) {
  const [shown] = await withCountdowns(req, [order])
  return shown
}

/** The same for many, in one statement for each of the two kinds, however many orders there are. */
async function withCountdowns(req: Request, orders: Order[]) {
  const remaining = new Map<number, number | null>()
  for (const [status, kind] of countedDown) {
    const counted = orders.filter((order) => order.status === status)
    const left = await req.orderTimers.remaining(kind, counted)
    for (const [index, order] of counted.entries()) remaining.set(order.id, left[index] ?? null)
  }
  return orders.map((order) => ({ ...order.toJSON(), remaining: remaining.get(order.id) ?? null }))
}
