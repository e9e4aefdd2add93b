// How the worker finds the timers on an app before any request came. Express tells a mounted app of its mounting by the event `mount`
// (https://expressjs.com/en/api.html#app.onmount), in versions 4 and 5, and what has `handle` and `set` counts as an app. So the
// middleware answers to these while it is mounted, and notes itself in the app's settings, which apps mounted below inherit.

import type { OrderTimers } from '../types.js'

const SETTING = 'express-order-timers'

/** The part of an Express app that is used here. */
export interface App {
  set(setting: string, value: unknown): unknown
  get(setting: string): unknown
  on(event: 'mount', listener: (parent: App) => void): unknown
  /** The app that it was mounted on before, if any. */
  parent?: App
  /** Express 5 */
  router?: Router
  /** Express 4, where reading `router` throws. */
  _router?: Router
}

interface Router {
  use(path: unknown, handle: unknown): unknown
}

type Middleware = (req: unknown, res: unknown, next: unknown) => void

/** Makes the middleware note itself in each app that it is mounted on, and in the apps above. */
export function announceMount(timers: OrderTimers): void {
  const call = timers as unknown as Middleware
  const plain: Middleware = (req, res, next) => call(req, res, next)
  let endMounting = () => {}
  const asApp: PropertyDescriptorMap = {
    handle: { value: plain },
    set: { value: () => timers },
    mountpath: { set: () => {}, get: () => undefined },
    parent: {
      set: (app: App) => {
        endMounting = mountPlainly(app, plain)
      },
      get: () => undefined,
    },
    emit: {
      value: (event: string, parent: App) => {
        endMounting()
        if (event === 'mount') noteOn(parent, timers)
        return true
      },
    },
  }
  for (const descriptor of Object.values(asApp)) Object.assign(descriptor, { enumerable: false, configurable: true })
  Object.defineProperties(timers, asApp)
}

/** All timers that are mounted on the app, above it or below it. */
export function mountedTimers(app: App): OrderTimers[] {
  return [...((app.get(SETTING) as Set<OrderTimers> | undefined) ?? [])]
}

/**
 * Express wraps a mounted app so that `req` and `res` get the prototypes of `req.app` back behind it. That is not for a middleware: it takes
 * prototypes away that the shop has set, and fails every request whose `req.app` is the shop's own value. So the handler that Express is about
 * to put on the app's router, between the settings of `parent` and the event `mount`, is replaced by the middleware itself.
 * @returns what ends this
 */
function mountPlainly(app: App, plain: Middleware): () => void {
  const router = app._router ?? app.router
  if (typeof router?.use !== 'function') return () => {}
  const own = Object.getOwnPropertyDescriptor(router, 'use')
  const { use } = router
  const end = (): void => {
    if (own) Object.defineProperty(router, 'use', own)
    else Reflect.deleteProperty(router, 'use')
  }
  const value = (path: unknown) => {
    end()
    return use.call(router, path, plain)
  }
  Object.defineProperty(router, 'use', { value, configurable: true, writable: true })
  return () => {
    if (router.use === (value as unknown)) end()
  }
}

function noteOn(app: App, timers: OrderTimers): void {
  const noted = new Set(mountedTimers(app))
  app.set(SETTING, noted.add(timers))
  if (app.parent) noteOn(app.parent, timers)
  app.on('mount', (parent) => noteOn(parent, timers))
}
