import { orderTimers, transition } from 'express-order-timers'
import { DataTypes, Sequelize } from 'sequelize'

const sequelize = new Sequelize(process.env.DATABASE_URL, { define: { schema: process.env.SCHEMA } })
const Order = sequelize.define('Order', { status: DataTypes.INTEGER, confirmDueAt: DataTypes.DATE })

export const timers = orderTimers({
  redis: process.env.REDIS_URL,
  prefix: process.env.PREFIX,
  rules: { order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }) },
})
