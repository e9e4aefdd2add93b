// `orderTimersHealth(timers)`: the routes `/live` and `/ready`, and the same as functions. The routes use nothing of Express, so they also serve
// under Node's own http server.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { errorText } from '../error-text.js'
import { refuseUnknownOptions } from '../errors.js'
import type { Log } from '../logger.js'
import { requireFunction } from '../option-types.js'
import { within } from '../wait.js'
import { runtimeOf } from '../worker/runtime-of.js'
import { type Live, Liveness } from './liveness.js'
import { Readiness, type Ready } from './readiness.js'

export interface HealthOptions {
  /**
   * Whether this request may see details: messages and hosts. Codes and numbers are shown to everybody. Only `true` counts; if it throws, rejects or
   * takes longer than a second, no details are shown. Default: nobody may.
   */
  authorize?(req: IncomingMessage): boolean | Promise<boolean>
}

/** Middleware that answers GET and HEAD on `/live` and `/ready`, and passes everything else on. */
export interface OrderTimersHealth {
  (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void
  /** Whether this process still works: `failing` if its own loops have hung for a minute. Asks no server. */
  live(): Live
  /** Whether orders are being settled. Reads once a second at most, and waits three seconds at most. Never rejects. */
  ready(): Promise<Ready>
}

/** A probe does not wait for the shop's log-in. */
const AUTHORIZE_MS = 1_000

const STATUS = { ok: 200, degraded: 200, off: 200, failing: 503 } as const

/**
 * Routes for probes and people, for any path: `app.use('/health/order-timers', orderTimersHealth(timers))`.
 * @param appOrTimers the timers, a worker, or the Express app that they are mounted on
 * @throws OrderTimersError NOT_MOUNTED, INVALID_OPTION
 */
export function orderTimersHealth(appOrTimers: unknown, options: HealthOptions = {}): OrderTimersHealth {
  refuseUnknownOptions('orderTimersHealth', options, ['authorize'])
  const { authorize } = options
  requireFunction('orderTimersHealth', 'authorize', authorize)
  const runtime = runtimeOf(appOrTimers)
  const [liveness, readiness] = [new Liveness(runtime), new Readiness(runtime)]

  const ready = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const [mayRead, found] = await Promise.all([isAuthorized(authorize, req, runtime.log), readiness.read()])
    answer(req, res, STATUS[found.status], mayRead ? found : withoutDetails(found))
  }
  function orderTimersHealthRoutes(req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void {
    const path = (req.url ?? '').split('?', 1)[0]?.replace(/\/$/, '')
    const isRead = req.method === 'GET' || req.method === 'HEAD'
    if (isRead && path === '/live') {
      const live = liveness.read()
      answer(req, res, STATUS[live.status], live)
    } else if (isRead && path === '/ready') void ready(req, res)
    else if (next) next()
    else answer(req, res, 404, { status: 'not found' })
  }
  return Object.assign(orderTimersHealthRoutes, { live: () => liveness.read(), ready: () => readiness.read() })
}

async function isAuthorized(authorize: HealthOptions['authorize'], req: IncomingMessage, log: Log): Promise<boolean> {
  if (!authorize) return false
  const refuse = (what: string) => {
    log('warn', `orderTimersHealth: "authorize" ${what}; /ready was answered without details`, { code: 'HEALTH_AUTHORIZE' })
    return false
  }
  try {
    const mayRead = await within(AUTHORIZE_MS, (async () => (await authorize(req)) === true)())
    return mayRead ?? refuse(`did not answer in ${AUTHORIZE_MS} ms`)
  } catch (error) {
    return refuse(`threw (${errorText(error)})`)
  }
}

function withoutDetails({ checks, ...ready }: Ready): Ready {
  return { ...ready, checks: Object.fromEntries(Object.entries(checks).map(([name, { details: _, ...check }]) => [name, check])) }
}

function answer(req: IncomingMessage, res: ServerResponse, status: number, body: object): void {
  if (res.headersSent || res.writableEnded) return
  const text = `${JSON.stringify(body)}\n`
  res.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  res.end(req.method === 'HEAD' ? undefined : text)
}
