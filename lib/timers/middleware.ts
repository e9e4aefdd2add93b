// `orderTimers(options)`: the Express middleware that is the timers. Everything is prepared when they are made, so a request costs one
// assignment.

import type { NextFunction, Request, Response } from 'express'
import { OrderTimersError } from '../errors.js'
import type { OrderTimers, OrderTimersOptions, Rules } from '../types.js'
import { timerCalls } from './calls.js'
import { checkRuntime } from './check.js'
import { announceMount } from './mount.js'
import { parseOptions } from './options.js'
import { RUNTIME, Runtime } from './runtime.js'

/**
 * Makes the timers: middleware for `app.use`, which attaches itself as `req.orderTimers`, and the same calls for code without a request.
 * Looks at the options only; models, columns and Redis are touched at first use, at the worker's start, or by `check()`.
 * @throws OrderTimersError INVALID_OPTION, INVALID_DURATION, SHARED_DEADLINE; NOT_CALLED when `orderTimers` itself was mounted
 */
export function orderTimers<const R extends Rules>(options: OrderTimersOptions<R>): OrderTimers<R> {
  if (looksLikeRequest(options)) {
    throw new OrderTimersError(
      'NOT_CALLED',
      'orderTimers: this is the function that makes the middleware; write app.use(orderTimers({ redis, rules })), not app.use(orderTimers)',
    )
  }
  const runtime = new Runtime(parseOptions(options))
  function orderTimersMiddleware(req: Request, _res: Response, next: NextFunction): void {
    req.orderTimers = timers
    next()
  }
  const timers = Object.assign(runtime.unhooked.before(orderTimersMiddleware), timerCalls(runtime), {
    [RUNTIME]: runtime,
    check: () => checkRuntime(runtime),
    health: () => runtime.health(),
    close: () => runtime.close(),
  }) as unknown as OrderTimers<R> & OrderTimers
  announceMount(timers, () => runtime.beats?.mounted())
  return timers
}

function looksLikeRequest(value: unknown): boolean {
  const { method, headers, rules } = (value ?? {}) as { method?: unknown; headers?: unknown; rules?: unknown }
  return typeof method === 'string' && typeof headers === 'object' && rules === undefined
}
