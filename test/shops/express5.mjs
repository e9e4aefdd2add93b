// A shop of today: ES modules, Express 5, its routers as apps of their own. Of the timers its routes know nothing.

import express from 'express'
import { orderTimers, startExpiryWorker, transition } from 'express-order-timers'
import { DataTypes, Sequelize } from 'sequelize'

export default async ({ databaseUrl, schema, redis, prefix }) => {
  const sequelize = new Sequelize(databaseUrl, { logging: false, define: { schema } })
  const Order = sequelize.define('Order', {
    id: { type: DataTypes.UUID, primaryKey: true, defaultValue: DataTypes.UUIDV4 },
    status: { type: DataTypes.STRING, allowNull: false, defaultValue: 'placed' },
    confirmDueAt: DataTypes.DATE,
  })
  await sequelize.sync()

  const order_pay = transition(Order, { from: 'placed', to: 'cancelled', since: 'createdAt', after: '15m' })
  const order_confirm = transition(Order, { from: 'shipped', to: 'completed', deadline: 'confirmDueAt', after: '24h', auto: true })
  const timers = orderTimers({ redis, prefix, rules: { order_pay, order_confirm } })

  const customers = express()
  customers.post('/', async (_req, res) => res.status(201).json(await Order.create()))
  customers.get('/:id', async (req, res) => res.json(await Order.findByPk(req.params.id)))
  customers.post('/:id/pay', async (req, res) => {
    const [paid] = await Order.update({ status: 'paid' }, { where: { id: req.params.id, status: 'placed' } })
    res.sendStatus(paid === 1 ? 204 : 409)
  })
  const warehouse = express()
  warehouse.post('/:id/ship', async (req, res) => {
    const [, [order]] = await Order.update({ status: 'shipped' }, { where: { id: req.params.id, status: 'paid' }, returning: true })
    res.json({ ...order.toJSON(), timers: await req.orderTimers.list(order) })
  })

  const app = express()
  app.use('/orders', timers, customers)
  app.use('/orders', warehouse)
  const worker = startExpiryWorker(app)
  return { app, sequelize, timers, worker }
}
