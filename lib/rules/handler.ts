// A plain function as a rule. No row guards it, so it is as durable as Redis is, and runs at least once for each timer.

import { OrderTimersError, show } from '../errors.js'
import { nameId } from '../ids.js'
import { fingerprint } from './fingerprint.js'
import type { DeclaredRule } from './rule.js'

/** A plain function as a rule. It runs at least once for each timer, and its timers are as durable as Redis is. */
export type Handler = (work: HandlerWork) => unknown

export interface HandlerWork {
  kind: string
  /** The ids that are due, as text; 100 at most. */
  ids: string[]
  /** Aborted when the batch has timed out (30 s), and when `stop()` no longer waits. */
  signal: AbortSignal
}

const BATCH = 100
const TIMEOUT_MS = 30_000
const ATTEMPTS = 25

export function declareHandler(kind: string, handler: unknown): DeclaredRule {
  if (typeof handler !== 'function') {
    const remedy = 'transition(Model, …) or a function'
    throw new OrderTimersError('INVALID_OPTION', `orderTimers: rule "${kind}" must be ${remedy}, got ${show(handler)}`)
  }
  return {
    kind,
    form: 'handler',
    fingerprint: fingerprint('handler'),
    deadline: undefined,
    auto: undefined,
    bind: () => ({
      kind,
      description: undefined,
      parseId: nameId,
      runsOwnCode: true,
      batchSize: BATCH,
      timeoutMs: TIMEOUT_MS,
      attempts: ATTEMPTS,
      row: undefined,
      reminder: undefined,
      reminders: [],
      settle: async (ids, work) => {
        const { signal, deadlineOf } = work
        work.inRule = true
        await (handler as Handler)({ kind, ids: [...ids], signal })
        const settled = ids.map((id) => ({ id, deadline: deadlineOf(id) ?? null, latenessMs: null }))
        return { settled, early: [], locked: [], gone: [], held: [] }
      },
    }),
  }
}
