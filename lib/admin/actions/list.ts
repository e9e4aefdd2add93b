// Actions of operators, newest first, page by page; and whether actions can be recorded.

import { OrderTimersError, show } from '../../errors.js'
import type { ActionsTableState, ListedAction } from '../../rows/actions-table.js'
import { codedErrors } from '../../timers/coded-errors.js'
import type { Runtime } from '../../timers/runtime.js'
import { tablesOf } from './record.js'

export interface ActionsQuery {
  /** Only actions on this rule. */
  kind?: string | undefined
  /** Only actions on this order. */
  order?: string | undefined
  /** Only actions of this name. */
  action?: string | undefined
  /** The `next` of the previous page. */
  after?: string | undefined
  /** From 1 to 100; default 20. */
  limit?: number | undefined
}

export interface ActionsPage {
  actions: ListedAction[]
  /** Where the next page begins; undefined if there is none. */
  next: string | undefined
}

const MOST = 100

/**
 * From the first database, if the rules use several.
 * @throws OrderTimersError INVALID_ACTION, NOT_RECORDED if there is no table, POSTGRES_UNAVAILABLE
 */
export function listActions(runtime: Runtime, { kind, order, action, after, limit = 20 }: ActionsQuery = {}): Promise<ActionsPage> {
  return codedErrors('', async () => {
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST) throw wrong(`"limit" must be a whole number from 1 to ${MOST}`, limit)
    if (after !== undefined && !/^\d{1,18}$/.test(after)) throw wrong('"after" must be the `next` of a page', after)
    const [table] = tablesOf(runtime)
    if (!table) return { actions: [], next: undefined }
    const actions = await table.list({ kind, order, action, before: after, limit })
    return { actions, next: actions.length === limit ? actions.at(-1)?.id : undefined }
  })
}

/**
 * Whether actions on the rules' orders can be recorded; if not, they are refused.
 * @returns the state of the first database that is not ready; `ready` also if no rule has rows
 * @throws OrderTimersError POSTGRES_UNAVAILABLE
 */
export function actionsState(runtime: Runtime): Promise<ActionsTableState> {
  return codedErrors('', async () => {
    for (const table of tablesOf(runtime)) {
      const state = await table.state() // one connection at a time
      if (state !== 'ready') return state
    }
    return 'ready'
  })
}

function wrong(what: string, given: unknown): OrderTimersError {
  return new OrderTimersError('INVALID_ACTION', `orderTimers: ${what}, got ${show(given)}`)
}
