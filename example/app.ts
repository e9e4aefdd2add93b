// The shop's Express app.

import { fileURLToPath } from 'node:url'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { orderTimersAdmin } from 'express-order-timers/admin'
import { countdown } from 'express-order-timers/countdown'
import { Order } from './models.js'
import { buyerPages } from './pages/buyer.js'
import { html } from './pages/html.js'
import { layout } from './pages/layout.js'
import { staffPages } from './pages/staff.js'
import { timers } from './timers.js'
import { buyerOf, isStaff, meetVisitor, staffOnly } from './visitor.js'

/** @param breaks the demo's own pages, for breaking things */
export function createApp(breaks: RequestHandler): Express {
  const app = express()
  app.disable('x-powered-by')
  app.use((_req, res, next) => {
    res.set({ 'Content-Security-Policy': "default-src 'self'", 'X-Content-Type-Options': 'nosniff' })
    next()
  })
  app.use(meetVisitor)
  app.use(express.static(fileURLToPath(new URL('public', import.meta.url))))
  app.use(timers)

  // An order's countdown is for whoever placed it, and for the staff.
  app.use(
    '/countdown',
    countdown(timers, {
      authorize: async (req, _kind, id) => isStaff(req) || (await Order.count({ where: { id, buyer: buyerOf(req) ?? '' } })) > 0,
    }),
  )
  app.use(
    '/staff/timers',
    staffOnly,
    orderTimersAdmin(timers, {
      authorize: (req) => isStaff(req) && { user: 'staff', can: 'act' },
      show: (order) => ({ Items: order.get('items') as string, Total: `NT$${order.get('total')}` }),
    }),
  )

  app.use(express.urlencoded({ extended: false }))
  app.use(buyerPages)
  app.use('/staff', staffPages)
  app.use('/break', breaks)
  app.use((_req, res) => void res.status(404).send(apology(res.locals.visitor, res.locals.visitor.words.notFound)))
  app.use(answerError)
  return app
}

/** The timers' errors carry `status` and `expose`, as body-parser's and the shop's own do. */
const answerError: ErrorRequestHandler = (error, _req, res, next) => {
  if (res.headersSent) return next(error)
  const status = error.status ?? 500
  if (status >= 500) console.error(error)
  const { visitor } = res.locals
  const { tooLate, notFound, wentWrong } = visitor.words
  res.status(status).send(apology(visitor, status === 409 ? tooLate : status === 404 ? notFound : wentWrong))
}

function apology(visitor: Parameters<typeof layout>[0], text: string): string {
  return layout(visitor, { title: text, path: '', main: html`<p><a href="/orders">${visitor.words.nav.orders}</a></p>` })
}
