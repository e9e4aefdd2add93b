// `orderTimersAdmin(timers, options)`: the page as one Express handler. It can be mounted anywhere, on Express 4 and 5, and uses nothing of Express
// except the request and the response.

import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { OrderTimersError, show } from '../errors.js'
import { RUNTIME, type Runtime } from '../timers/runtime.js'
import type { OrderTimers, Rules } from '../types.js'
import { refuse } from '../web/answer.js'
import { setSecurityHeaders } from '../web/headers.js'
import { refusalOf } from '../web/refusal.js'
import { Answers } from './answers.js'
import { Authorization } from './authorization.js'
import { type AdminOptions, parseAdminOptions } from './options.js'
import { Routes } from './routes.js'
import { STREAMS, Streams } from './streams.js'

export interface AdminRouter extends RequestHandler {
  /** Ends the live pages, so that the server can be closed. `timers.close()` does the same. */
  close(): void
}

/**
 * Makes the admin page: `app.use('/admin/order-timers', orderTimersAdmin(timers, { authorize }))`. Sends nothing to a server until somebody looks.
 * @param timers what `orderTimers(…)` returned
 * @throws OrderTimersError INVALID_OPTION, such as where `authorize` is missing
 */
export function orderTimersAdmin<R extends Rules>(timers: OrderTimers<R>, options: AdminOptions): AdminRouter {
  const runtime = (timers as unknown as { [RUNTIME]?: Runtime } | null | undefined)?.[RUNTIME]
  if (!runtime) {
    const message = `orderTimersAdmin: the first argument must be timers, as orderTimers({ … }) returns them, got ${show(timers)}`
    throw new OrderTimersError('INVALID_OPTION', message)
  }
  const parsed = parseAdminOptions(options)
  const authorization = new Authorization(parsed.authorize, runtime.log)
  const answers = new Answers(runtime, parsed)
  const streams = new Streams({
    news: () => answers.news(),
    mayLook: (req) => authorization.grant(req, { action: 'read', kind: undefined, count: 0 }),
  })
  const routes = new Routes({ answers, authorization, streams, origins: parsed.origins })
  runtime.onClose(() => streams.close())

  function orderTimersAdminPage(req: Request, res: Response, _next: NextFunction): void {
    setSecurityHeaders(res)
    routes.answer(req, res).catch((error: unknown) => refuse(res, refusalOf(error)))
  }
  return Object.assign(orderTimersAdminPage, { close: () => streams.close(), [STREAMS]: streams })
}
