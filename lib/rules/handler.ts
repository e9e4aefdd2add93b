// A plain function as a rule: any work of the shop's own. Nothing on a row guards it, so it is as durable as Redis is, and at least once.

import { OrderTimersError, show } from '../errors.js'
import { nameId } from '../ids.js'
import type { Handler } from '../types.js'
import type { DeclaredRule } from './rule.js'

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
    deadline: undefined,
    afterMs: undefined,
    bind: () => ({
      kind,
      form: 'handler',
      description: undefined,
      parseId: nameId,
      batchSize: BATCH,
      timeoutMs: TIMEOUT_MS,
      afterMs: undefined,
      attempts: ATTEMPTS,
      row: undefined,
      settle: async (ids, work) => {
        const { signal, deadlines } = work
        work.inRule = true
        await (handler as Handler)({ kind, ids: [...ids], signal })
        const settled = ids.map((id) => ({ id, deadline: deadlines.get(id) ?? null, latenessMs: null }))
        return { settled, early: [], locked: [], gone: [], held: [] }
      },
    }),
  }
}
