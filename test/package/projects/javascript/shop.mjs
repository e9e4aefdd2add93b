// A tiny shop on the package as a user has it, handed what it needs so that the same runs as an ES module and as CommonJS. It ships an
// order over HTTP, waits until it is confirmed, and prints what it saw.

export async function runShop({ express, Sequelize, DataTypes, orderTimers, startExpiryWorker, transition, OrderTimersError }) {
  const { DATABASE_URL, REDIS_URL, SCHEMA, PREFIX } = process.env
  const sequelize = new Sequelize(DATABASE_URL, { logging: false, define: { schema: SCHEMA } })
  const Order = sequelize.define('Order', { status: DataTypes.INTEGER, confirmDueAt: DataTypes.DATE })
  await Order.sync()

  const timers = orderTimers({
    redis: REDIS_URL,
    prefix: PREFIX,
    logger: false,
    rules: { order_confirm: transition(Order, { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' }) },
  })
  const app = express()
  app.use(timers)
  app.post('/orders/:id/ship', (req, res, next) => {
    req.orderTimers.schedule('order_confirm', req.params.id, { after: 50 }).then((timer) => res.json(timer), next)
  })
  app.use((error, _req, res, _next) => {
    res.status(error.status).json({ code: error.code, ours: error instanceof OrderTimersError })
  })
  const worker = startExpiryWorker(app)
  const settled = new Promise((resolve) => {
    worker.once('settled', resolve)
  })
  await worker.ready
  const server = app.listen(0)
  const ship = async (id) => {
    const response = await fetch(`http://127.0.0.1:${server.address().port}/orders/${id}/ship`, { method: 'POST' })
    return { status: response.status, ...(await response.json()) }
  }

  const { id } = await Order.create({ status: 4 })
  const { status, armed } = await ship(id)
  const { kind, via, orders } = await settled
  const { status: orderStatus } = await Order.findByPk(id)
  const missing = await ship(999)

  server.close()
  await worker.stop()
  await timers.close()
  await sequelize.close()
  console.log(JSON.stringify({ status, armed, kind, via, ids: orders.map((order) => order.id), orderStatus, missing }))
}
