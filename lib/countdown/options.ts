// The options of `countdown(timers, …)`, checked once, when the router is made.

import type { Request } from 'express'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'

export interface CountdownOptions {
  /**
   * Whether the sender of the request may see this order's countdown. Called for each order, and again each minute while it is watched, with the request that opened
   * the stream. Only `true` counts. `id` is the order's id as text.
   */
  authorize: (req: Request, kind: string, id: string) => boolean | Promise<boolean>
}

/** @throws OrderTimersError INVALID_OPTION */
export function parseCountdownOptions(options: CountdownOptions): CountdownOptions {
  if (options === null || typeof options !== 'object')
    throw invalid(`takes its options as an object, such as { authorize }, got ${show(options)}`)
  refuseUnknownOptions('countdown', options, ['authorize'])
  const { authorize } = options
  if (typeof authorize === 'function') return { authorize }
  const form = 'async (req, kind, id) => true or false'
  throw invalid(`"authorize" must be a function: ${form}; without it anybody could watch anybody's orders; got ${show(authorize)}`)
}

function invalid(message: string): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `countdown: ${message}`)
}
