// The smallest shop's Express app: place, pay, ship, confirm, extend, list; JSON alone.

import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { HttpError } from '../http-error.js'
import type { Database } from './models.js'
import { orderRoutes } from './orders.js'
import type { ShopLog } from './timers.js'

export interface AppDependencies extends Database {
  timers: RequestHandler
  log: ShopLog
}

export function createApp({ sequelize, Order, timers, log }: AppDependencies): Express {
  const app = express()
  app.disable('x-powered-by')
  app.use((_req, res, next) => {
    res.set({ 'Content-Security-Policy': "default-src 'self'", 'X-Content-Type-Options': 'nosniff' })
    next()
  })
  app.use(express.json())
  app.use(timers)
  app.use('/orders', orderRoutes({ sequelize, Order }))
  app.use((req) => {
    throw new HttpError(404, `there is nothing at ${req.method} ${req.path}`)
  })
  app.use(answerError(log))
  return app
}

/** The timers' errors carry `status`, `expose` and `code`, as body-parser's and the shop's own do. */
function answerError(log: ShopLog): ErrorRequestHandler {
  return (error, _req, res, next) => {
    if (res.headersSent) return next(error)
    const status = error.status ?? 500
    if (status >= 500) log.error(error)
    res.status(status).json({ error: error.expose ? error.message : 'something went wrong', code: error.code })
  }
}
