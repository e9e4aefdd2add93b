// A router whose asynchronous routes may throw. Express 5 hands what they throw to the error handler by itself; on Express 4 it would end the
// process.

import { type RequestHandler, Router } from 'express'

type Add = (path: string, ...routes: RequestHandler[]) => Router

export function catchingRouter(): Router {
  const router = Router()
  for (const method of ['get', 'post'] as const) {
    const add: Add = router[method].bind(router)
    const addCaught: Add = (path, ...routes) => add(path, ...routes.map(caught))
    Object.assign(router, { [method]: addCaught })
  }
  return router
}

function caught(route: RequestHandler): RequestHandler {
  return (req, res, next) => {
    Promise.resolve(route(req, res, next)).catch(next)
  }
}
