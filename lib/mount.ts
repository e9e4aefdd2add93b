// How the worker finds the timers on an app before any request came. Express tells a mounted app of its mounting by the event `mount`
// (https://expressjs.com/en/api.html#app.onmount), in versions 4 and 5, and what has `handle` and `set` counts as an app. So the
// middleware answers to these, and notes itself in the app's settings, which apps mounted below inherit.

import type { OrderTimers } from './types.js'

const SETTING = 'express-order-timers'

/** The part of an Express app that is used here. */
export interface App {
  set(setting: string, value: unknown): unknown
  get(setting: string): unknown
  on(event: 'mount', listener: (parent: App) => void): unknown
  /** The app that it was mounted on before, if any. */
  parent?: App
}

/** Makes the middleware note itself in each app that it is mounted on, and in the apps above. */
export function announceMount(timers: OrderTimers): void {
  const call = timers as unknown as (...args: unknown[]) => void
  const asApp = {
    handle: (req: unknown, res: unknown, next: unknown) => call(req, res, next),
    set: () => timers,
    emit: (event: string, parent: App) => {
      if (event === 'mount') noteOn(parent, timers)
      return true
    },
  }
  for (const [name, value] of Object.entries(asApp)) Object.defineProperty(timers, name, { value, enumerable: false, configurable: true })
}

/** All timers that are mounted on the app, above it or below it. */
export function mountedTimers(app: App): OrderTimers[] {
  return [...((app.get(SETTING) as Set<OrderTimers> | undefined) ?? [])]
}

function noteOn(app: App, timers: OrderTimers): void {
  const noted = new Set(mountedTimers(app))
  app.set(SETTING, noted.add(timers))
  if (app.parent) noteOn(app.parent, timers)
  app.on('mount', (parent) => noteOn(parent, timers))
}
