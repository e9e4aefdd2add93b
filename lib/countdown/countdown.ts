// `countdown(timers, options)`: countdowns for customers as one Express handler: JSON, a stream, and the custom element that
// shows it. It can be mounted anywhere, on Express 4 and 5.

import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { OrderTimersError, show } from '../errors.js'
import { RUNTIME, type Runtime } from '../timers/runtime.js'
import type { OrderTimers, Rules } from '../types.js'
import { answer, JSON_TYPE, refuse, splitUrl } from '../web/answer.js'
import { setSecurityHeaders } from '../web/headers.js'
import { Refusal, refusalOf } from '../web/refusal.js'
import { ASSETS } from './assets.generated.js'
import { Looks } from './looks.js'
import { type CountdownOptions, parseCountdownOptions } from './options.js'
import { Permissions } from './permissions.js'
import { countdownOf, Streams, unreadOf } from './streams.js'
import { wishesIn } from './wishes.js'

const ELEMENT = 'order-countdown.js'

export interface CountdownRouter extends RequestHandler {
  /** Ends the streams, so that the server can be closed. `timers.close()` does the same. */
  close(): void
}

/**
 * Makes the router for countdowns: `app.use('/countdown', countdown(timers, { authorize }))`. Asks no server until somebody watches.
 * @param timers what `orderTimers(…)` returned
 * @throws OrderTimersError INVALID_OPTION, such as where `authorize` is missing
 */
export function countdown<R extends Rules>(timers: OrderTimers<R>, options: CountdownOptions): CountdownRouter {
  const runtime = (timers as unknown as { [RUNTIME]?: Runtime } | null | undefined)?.[RUNTIME]
  if (!runtime) {
    const message = `countdown: the first argument must be timers, as orderTimers({ … }) returns them, got ${show(timers)}`
    throw new OrderTimersError('INVALID_OPTION', message)
  }
  const permissions = new Permissions(parseCountdownOptions(options).authorize, runtime.log)
  const looks = new Looks(runtime)
  const streams = new Streams(looks, permissions, runtime.log)
  runtime.onClose(() => streams.close())

  const respond = async (req: Request, res: Response): Promise<void> => {
    const [path, query] = splitUrl(req.url)
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.setHeader('Allow', 'GET, HEAD')
      throw new Refusal(405, 'METHOD', 'countdowns are asked for by GET')
    }
    if (path === `/${ELEMENT}`) {
      res.setHeader('Cache-Control', 'public, max-age=3600')
      return answer(req, res, 'text/javascript; charset=utf-8', ASSETS[ELEMENT] as string)
    }
    if (path !== '/now' && path !== '/stream') throw new Refusal(404, 'NOTHING_HERE', 'there is nothing here')
    const wishes = wishesIn(query, runtime)
    if (path === '/stream' && req.method === 'HEAD') return answer(req, res, 'text/event-stream', '')
    if (path === '/stream') streams.refuseMore(wishes.length)
    const granted = await permissions.of(req, wishes, () => res.destroyed)
    if (path === '/stream') return streams.add(req, res, wishes, granted)
    const look = await looks.at(wishes.flatMap(({ watched }) => watched ?? []))
    for (const wish of wishes) {
      const why = unreadOf(wish, granted, look)
      if (why !== undefined) throw why
    }
    answer(req, res, JSON_TYPE, JSON.stringify({ countdowns: wishes.map((wish) => countdownOf(wish, granted, look)) }))
  }
  function countdownRouter(req: Request, res: Response, _next: NextFunction): void {
    setSecurityHeaders(res)
    respond(req, res).catch((error: unknown) => {
      const refusal = refusalOf(error)
      if (refusal.status >= 500 && !(error instanceof Refusal)) streams.tellUnread(error)
      refuse(res, forCustomers(refusal))
    })
  }
  return Object.assign(countdownRouter, { close: () => streams.close() })
}

/** Server problems go into the shop's log, and not to its customers. */
function forCustomers(refusal: Refusal): Refusal {
  return refusal.status < 500 ? refusal : new Refusal(503, refusal.code, 'the countdowns cannot be read at present')
}
