// Removes old rows of the history and of the record of actions. This is recorded too.

import { parseDuration } from '../../duration.js'
import { ACTIONS_TABLE, type ActionsTable } from '../../rows/actions-table.js'
import { History } from '../../rows/history.js'
import { codedErrors } from '../../timers/coded-errors.js'
import type { Runtime } from '../../timers/runtime.js'
import { boundRule } from '../problem.js'
import { recorded, tablesOf } from './record.js'
import { type Actor, requireActor } from './request.js'

/** Younger rows may still be needed. */
const LEAST_MS = 86_400_000

export interface Pruned {
  /** How many rows were removed from the history. */
  history: number
  /** And from the record of actions. */
  actions: number
}

/**
 * @param olderThan a duration, a day at least
 * @throws OrderTimersError INVALID_DURATION, INVALID_ACTION, NOT_RECORDED, and then nothing was removed from that database; POSTGRES_UNAVAILABLE, and
 * INVALID_MODEL if this role may not remove rows, recorded as failed
 */
export function pruneAct(runtime: Runtime, olderThan: unknown, actor: Actor): Promise<Pruned> {
  return codedErrors('', async () => {
    requireActor(actor)
    const olderThanMs = parseDuration('orderTimers: "olderThan"', olderThan, { leastMs: LEAST_MS })
    const pruned: Pruned = { history: 0, actions: 0 }
    for (const table of tablesOf(runtime)) {
      await recorded(table, { action: 'prune', kind: '', actor, ids: [] }, async () => {
        const removed = await table.prune(olderThanMs)
        const fromHistory = await pruneHistory(runtime, table, olderThanMs)
        pruned.actions += removed
        pruned.history += fromHistory
        return { count: removed + fromHistory, orders: [] }
      })
    }
    return pruned
  })
}

/** The history in the same schema as that table of actions. */
async function pruneHistory(runtime: Runtime, { name, sequelize }: ActionsTable, olderThanMs: number): Promise<number> {
  const rules = runtime.kinds.flatMap((kind) => {
    const { rule } = boundRule(runtime, kind)
    return rule?.row?.history ? [{ kind, history: rule.row.history, table: rule.row.guard.table }] : []
  })
  const beside = rules.filter(({ table }) => table.sequelize === sequelize && table.inSameSchema(ACTIONS_TABLE) === name)
  const [first] = beside
  if (!first) return 0
  return History.prune(
    sequelize,
    first.history.table,
    beside.map(({ kind }) => kind),
    olderThanMs,
  )
}
