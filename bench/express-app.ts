// The Express app that is measured: a route that answers, with the middleware or without, and one that schedules.
// And the middleware alone, called in process.
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Express, type Request, type Response } from 'express'
import { orderTimersAdmin } from '../lib/admin-page/index.js'
import { DAY_MS } from './orders.js'
import { openTimers } from './systems/express-order-timers.js'
import type { Place } from './systems/system.js'

/** What every request passes before its route. */
export type Passed = 'nothing' | 'a middleware that does nothing' | 'the timers'

/** @returns the port, on loopback */
export async function serveExpress({ place, passed }: { place: Place; passed: Passed }): Promise<number> {
  const app = express()
  const opened = passed === 'the timers' ? await openTimers(place) : undefined
  if (opened) app.use(opened.timers)
  if (passed === 'a middleware that does nothing') app.use(doNothing)
  app.get('/', (_req, res) => {
    res.send('hello')
  })
  let id = 0
  app.post('/ship', async (req, res) => {
    id += 1
    await opened?.schedule(req.orderTimers, id, Date.now() + DAY_MS)
    res.send('shipped')
  })
  return listen(app)
}

/** @returns the port of the admin page */
export async function serveAdmin(place: Place): Promise<number> {
  const { timers } = await openTimers(place)
  return listen(express().use(orderTimersAdmin(timers, { authorize: () => ({ user: 'bench', can: 'act' }) })))
}

async function listen(app: Express): Promise<number> {
  const server = await new Promise<Server>((resolve, reject) => {
    const listening: Server = app.listen(0, '127.0.0.1', (error) => (error ? reject(error) : resolve(listening)))
  })
  return (server.address() as AddressInfo).port
}

/** @returns microseconds that a call of the middleware takes, above a call of one that does nothing */
export async function timeMiddleware({ place, calls }: { place: Place; calls: number }): Promise<number> {
  const { timers } = await openTimers(place)
  const time = (middleware: typeof doNothing) => {
    let passed = 0
    const next = () => {
      passed += 1
    }
    const started = performance.now()
    for (let call = 0; call < calls; call += 1) middleware({ url: '/', headers: {} } as never, {} as never, next)
    const elapsed = performance.now() - started
    if (passed !== calls) throw new Error(`the middleware passed ${passed} of ${calls} requests on`)
    return elapsed
  }
  time(doNothing)
  time(timers)
  return ((time(timers) - time(doNothing)) / calls) * 1000
}

function doNothing(_req: Request, _res: Response, next: () => void): void {
  next()
}
