// How the worker finds the timers on an app before the first request. Express 4 and 5 emit the event `mount` on an app that is mounted
// (https://expressjs.com/en/api.html#app.onmount), and treat everything that has `handle` and `set` as an app. So the middleware has these
// properties, and when it is mounted it records itself in the app's settings, which apps mounted below inherit.

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

/**
 * Makes the middleware record itself in each app on which it is mounted, and in the apps above.
 * @param onMounted called at each mount
 */
export function announceMount(timers: OrderTimers, onMounted: () => void): void {
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
        if (event !== 'mount') return true
        recordOn(parent, timers)
        onMounted()
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
 * Express wraps a mounted app, to restore the prototypes of `req` and `res` from `req.app` behind it. A middleware must not do that: it would
 * remove prototypes that the shop has set, and fail each request whose `req.app` is the shop's own value. So the handler that Express adds to
 * the app's router, after it sets `parent` and before it emits `mount`, is replaced by the middleware itself.
 * @returns a function that ends the replacing
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

function recordOn(app: App, timers: OrderTimers): void {
  const recorded = new Set(mountedTimers(app))
  app.set(SETTING, recorded.add(timers))
  if (app.parent) recordOn(app.parent, timers)
  app.on('mount', (parent) => recordOn(parent, timers))
}
