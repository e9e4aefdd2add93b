// The calls on `req.orderTimers` and on the middleware itself. Errors of Redis and Postgres leave them as coded errors.

import type { ListedTimer, OrderOrId, TimerCalls } from '../types.js'
import { abandonRun, bulk, resumeRun } from './bulk/calls.js'
import { Call } from './call.js'
import { codedErrors } from './coded-errors.js'
import { deadLetters } from './dead-letters.js'
import { holdKind } from './hold.js'
import { listTimers } from './pending.js'
import { listOf, remainingOf } from './pending-of-many.js'
import { release } from './release.js'
import type { Runtime } from './runtime.js'

export function timerCalls(runtime: Runtime): TimerCalls {
  const where = runtime.redis?.source.describe() ?? ''
  const coded = <T>(call: () => Promise<T>): Promise<T> => codedErrors(where, call)
  return {
    schedule: (kind, order, options) =>
      coded(() => {
        const call = new Call(runtime, kind, order, options ?? {}, ['after', 'at', 'transaction'])
        return runtime.tracer ? runtime.tracer.schedule(kind, () => call.schedule()) : call.schedule()
      }),
    extend: (kind, order, by, options) => coded(() => new Call(runtime, kind, order, options ?? {}).extend(by)),
    cancel: (kind, order, options) => coded(() => new Call(runtime, kind, order, options ?? {}).cancel()),
    pause: (kind, order, options) => coded(() => new Call(runtime, kind, order, options ?? {}).pause()),
    resume: (kind, order, options) => coded(() => new Call(runtime, kind, order, options ?? {}).resume()),
    remaining: ((kind, order, options) =>
      coded<number | null | (number | null)[]>(async () =>
        isMany(order) ? remainingOf(runtime, kind, order, options ?? {}) : new Call(runtime, kind, order, options ?? {}).remaining(),
      )) as TimerCalls['remaining'],
    list: ((order, options) =>
      coded<ListedTimer[] | ListedTimer[][]>(() =>
        isMany(order) ? listOf(runtime, order, options ?? {}) : listTimers(runtime, order, options ?? {}),
      )) as TimerCalls['list'],
    dead: (kind) => coded(() => deadLetters(runtime, kind)),
    retry: (kind, order) => coded(() => new Call(runtime, kind, order, {}).retry()),
    hold: (kind, options) => coded(() => holdKind(runtime, kind, options)),
    release: (kind, options) => coded(() => release(runtime, kind, options)),
    extendAll: (kind, options) => coded(() => bulk(runtime, kind, 'extendAll', options)),
    scheduleAll: (kind, options) => coded(() => bulk(runtime, kind, 'scheduleAll', options)),
    cancelAll: (kind, options) => coded(() => bulk(runtime, kind, 'cancelAll', options)),
    resumeRun: (kind, options) => coded(() => resumeRun(runtime, kind, options)),
    abandonRun: (kind) => coded(() => abandonRun(runtime, kind)),
  }
}

function isMany(order: OrderOrId | readonly OrderOrId[]): order is readonly OrderOrId[] {
  return Array.isArray(order)
}
