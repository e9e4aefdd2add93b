// What the middleware costs a request: microseconds for each call in process, and requests a second of a route that only
// answers, with the middleware and without.
import { sendRequests } from '../requests.js'
import { OURS } from '../systems/index.js'
import type { Scenario } from './scenario.js'

const SECONDS = 4
const CONNECTIONS = 50

export const middleware: Scenario = {
  name: 'middleware',
  title: 'an Express route that only answers, without the middleware and with it',
  systems: [OURS],
  n: 1_000_000,
  pendings: [0],
  rounds: 3,
  entries: (system, n, pending) => [
    { system: 'express', n, pending },
    { system, n, pending },
  ],
  run: async (site, { system, n }) => {
    const timers = system === OURS
    const child = await site.hire()
    const port = await child.ask('serveExpress', { place: site.place, timers })
    const url = `http://127.0.0.1:${port}/`
    await sendRequests({ url, connections: CONNECTIONS, seconds: 1 })
    const { perSecond } = await sendRequests({ url, connections: CONNECTIONS, seconds: SECONDS })
    if (!timers) return { perSecond }
    return { perSecond, detail: { microsecondsPerCall: await child.ask('timeMiddleware', { place: site.place, calls: n }) } }
  },
}
