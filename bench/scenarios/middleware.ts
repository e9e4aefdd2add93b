// What the middleware costs a request: microseconds for each call in process, and requests a second of a route that only
// answers, with the middleware, without, and with one that does nothing, which is what Express itself asks for any middleware.
import { sendRequests } from '../requests.js'
import { OURS } from '../systems/index.js'
import type { Scenario } from './scenario.js'

const SECONDS = 4
const CONNECTIONS = 50
const EMPTY = 'a middleware that does nothing'

export const middleware: Scenario = {
  name: 'middleware',
  title: 'an Express route that only answers, without middleware, with one that does nothing, and with the timers',
  systems: [OURS],
  n: 1_000_000,
  pendings: [0],
  rounds: 5,
  entries: (system, n, pending) => [
    { system: 'express', n, pending },
    { system: 'express', variant: EMPTY, n, pending },
    { system, n, pending },
  ],
  run: async (site, { system, variant, n }) => {
    const child = await site.hire()
    const passed = system === OURS ? 'the timers' : variant === EMPTY ? EMPTY : 'nothing'
    const port = await child.ask('serveExpress', { place: site.place, passed })
    const url = `http://127.0.0.1:${port}/`
    await sendRequests({ url, connections: CONNECTIONS, seconds: 1 })
    const { perSecond } = await sendRequests({ url, connections: CONNECTIONS, seconds: SECONDS })
    if (system !== OURS) return { perSecond }
    return { perSecond, detail: { microsecondsPerCall: await child.ask('timeMiddleware', { place: site.place, calls: n }) } }
  },
}
