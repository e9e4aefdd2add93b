// A shop as there are many: CommonJS, Express 4, UUIDs, statuses as text. Of the timers its routes know nothing.

const express = require('express4')
const { DataTypes, Sequelize } = require('sequelize')
const { orderTimers, startExpiryWorker, transition } = require('express-order-timers')

module.exports = async ({ databaseUrl, schema, redis, prefix }) => {
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

  const app = express()
  app.use(timers)
  app.post('/orders', async (_req, res) => res.status(201).json(await Order.create()))
  app.get('/orders/:id', async (req, res) => res.json(await Order.findByPk(req.params.id)))
  app.post('/orders/:id/pay', async (req, res) => {
    const [paid] = await Order.update({ status: 'paid' }, { where: { id: req.params.id, status: 'placed' } })
    res.sendStatus(paid === 1 ? 204 : 409)
  })
  app.post('/orders/:id/ship', async (req, res) => {
    const order = await Order.findByPk(req.params.id)
    res.json(await order.update({ status: 'shipped' }))
  })
  const worker = startExpiryWorker(app)
  return { app, sequelize, timers, worker }
}
