// Actions of operators, newest first, page by page; and whether actions can be recorded.

import { OrderTimersError, show } from '../../errors.js'
import type { ActionsTableState, ListedAction } from '../../rows/actions-table.js'
import { codedErrors } from '../../timers/coded-errors.js'
import type { Runtime } from '../../timers/runtime.js'
import { boundRule } from '../problem.js'
import { tableFor, tablesOf } from './record.js'

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
 * If the rules use several databases: from that of the rule, if one is given; from all of them, and only one page, for an order; else from the first.
 * @throws OrderTimersError INVALID_ACTION, NOT_RECORDED if there is no table, POSTGRES_UNAVAILABLE
 */
export function listActions(runtime: Runtime, { kind, order, action, after, limit = 20 }: ActionsQuery = {}): Promise<ActionsPage> {
  return codedErrors('', async () => {
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST) throw wrong(`"limit" must be a whole number from 1 to ${MOST}`, limit)
    if (after !== undefined && !/^\d{1,18}$/.test(after)) throw wrong('"after" must be the `next` of a page', after)
    const all = kind === undefined ? tablesOf(runtime) : [tableFor(runtime, boundRule(runtime, kind).rule) ?? []].flat()
    const tables = order === undefined ? all.slice(0, 1) : all
    const found: ListedAction[] = []
    for (const table of tables) found.push(...(await table.list({ kind, order, action, before: after, limit }))) // one connection at a time
    if (tables.length > 1) found.sort((one, other) => other.at - one.at)
    const actions = found.slice(0, limit)
    return { actions, next: tables.length === 1 && actions.length === limit ? actions.at(-1)?.id : undefined }
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
