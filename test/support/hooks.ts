// Mocha's root hooks. A test has to close what it opened: the entries in the book (opened.ts) and connections to REDIS_URL. What is left
// is closed, named with its test, and fails the run at its end; so do a leak of listeners and a process that does not end by itself.
// What is opened in a suite's before() has to be connected there: `await timers.check()`.

import { Socket } from 'node:net'
import type { Context, RootHookObject } from 'mocha'
import { type Opened, openNow } from './opened.js'
import { waitUntil } from './waiting.js'

interface Baseline {
  opened: Set<Opened>
  sockets: Set<Socket>
}

const leaks: string[] = []
let before: Baseline = { opened: new Set(), sockets: new Set() }

process.on('warning', (warning) => {
  if (warning.name === 'MaxListenersExceededWarning') leaks.push(`listeners: ${warning.message}`)
  if (warning.name === 'TimeoutOverflowWarning') leaks.push(`a timer that fires at once: ${warning.message}`)
  if (warning.name === 'DeprecationWarning') leaks.push(`a call that will not work for long: ${warning.message}`)
})

// Mocha hands rejections that nobody handles on to the process's other listeners, and without one they would vanish.
process.on('unhandledRejection', (reason) => {
  throw reason
})

export const mochaHooks: RootHookObject = {
  beforeEach() {
    before = { opened: new Set(openNow()), sockets: new Set(sockets()) }
  },

  async afterEach(this: Context) {
    const left = await leftovers(before)
    const failed = this.currentTest?.state === 'failed' // it never came to closing anything
    if (left.length > 0 && !failed) leaks.push(`${this.currentTest?.fullTitle()} left open: ${left.map((one) => one.what).join(', ')}`)
    await Promise.allSettled(left.map((one) => one.close()))
  },

  async afterAll() {
    const left = await leftovers({ opened: new Set(), sockets: new Set() })
    if (left.length > 0) leaks.push(`left open at the end: ${left.map((one) => one.what).join(', ')}`)
    await Promise.allSettled(left.map((one) => one.close()))
    endIsNear()
    if (leaks.length > 0) throw new Error(`something leaked:\n  ${leaks.join('\n  ')}`)
  },
}

/** What is open beyond the baseline, after a second's grace for sockets that are closing. */
async function leftovers(baseline: Baseline): Promise<Opened[]> {
  const look = (): Opened[] => [
    ...openNow().filter((one) => !baseline.opened.has(one)),
    ...sockets()
      .filter((socket) => !baseline.sockets.has(socket))
      .map(asOpened),
  ]
  await waitUntil(() => look().length === 0, { within: 1000, every: 5 }).catch(() => {})
  return look()
}

function asOpened(socket: Socket): Opened {
  return { what: `a connection to port ${socket.remotePort}`, close: async () => socket.destroy() }
}

/** Connections to the tests' Redis. Node has no documented list of them; this one is as old as Node. */
function sockets(): Socket[] {
  const redisPort = Number(new URL(process.env.REDIS_URL ?? 'redis://127.0.0.1').port || 6379)
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles()
  return handles.filter((handle): handle is Socket => handle instanceof Socket && !handle.destroyed && handle.remotePort === redisPort)
}

/** The process has to end by itself. If it does not within 5 s, something that no entry names keeps it alive. */
function endIsNear(): void {
  setTimeout(() => {
    process.stderr.write(`the process does not end by itself: ${process.getActiveResourcesInfo().join(', ')}\n`)
    process.exit(1)
  }, 5000).unref()
}
