// Finds the timers for a worker: those that were passed, or those that are mounted on the passed Express app.

import { OrderTimersError, show } from '../errors.js'
import { type App, mountedTimers } from '../timers/mount.js'
import { RUNTIME, type Runtime } from '../timers/runtime.js'

const OTHER_FORM = 'pass the timers themselves: startExpiryWorker(timers)'

/** @throws OrderTimersError NOT_MOUNTED */
export function runtimeOf(appOrTimers: unknown): Runtime {
  const own = (appOrTimers as { [RUNTIME]?: Runtime } | null | undefined)?.[RUNTIME]
  if (own) return own
  if (!isApp(appOrTimers)) throw notMounted(`this must be an Express app or timers, got ${show(appOrTimers)}; ${OTHER_FORM}`)
  const mounted = mountedTimers(appOrTimers)
  if (mounted.length === 1) return (mounted[0] as unknown as { [RUNTIME]: Runtime })[RUNTIME]
  if (mounted.length > 1)
    throw notMounted(`${mounted.length} timers are mounted on this app, and it is not clear which are meant; ${OTHER_FORM}`)
  throw notMounted(`no timers are mounted on this app; add app.use(orderTimers({ redis, rules })) before, or ${OTHER_FORM}`)
}

function notMounted(what: string): OrderTimersError {
  return new OrderTimersError('NOT_MOUNTED', `startExpiryWorker: ${what}`)
}

function isApp(value: unknown): value is App {
  const { get, set, on } = (value ?? {}) as Partial<App>
  return typeof get === 'function' && typeof set === 'function' && typeof on === 'function'
}
