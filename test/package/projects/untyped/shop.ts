// A shop that has not registered its timers: any kind compiles on `req`, and only the rules' own on the timers.

import express from 'express'
import { orderTimers, type Rules } from 'express-order-timers'

const timers = orderTimers({ redis: false, rules: { order_other: async () => {} } })
const app = express()
app.use(timers)
app.get('/', async (req, res) => {
  await req.orderTimers.schedule('whatever', 34, { after: '1h' })
  await req.orderTimers.cancel('whatever', 34)
  await timers.schedule('order_other', 34, { after: '1h' })
  // @ts-expect-error misspelt
  await timers.schedule('order_othre', 34, { after: '1h' })
  res.sendStatus(204)
})

export function made(rules: Rules) {
  return orderTimers({ rules }).schedule('some kind', 34)
}
