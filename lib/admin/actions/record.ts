// Where actions are recorded: in the database of their rule. Actions on a plain function are recorded in that of the first rule with
// rows; if there is none, no database is known, and nothing is recorded.

import { errorText } from '../../error-text.js'
import { type ActionEntry, ActionsTable } from '../../rows/actions-table.js'
import type { BoundRule } from '../../rules/rule.js'
import { callConnectionOf, withinCall } from '../../sequelize/call-connection.js'
import type { Runtime } from '../../timers/runtime.js'
import { boundRule } from '../problem.js'
import { type Acted, type ActedOrder, actedOn, countDone, forRecord } from './acted.js'
import type { Actor } from './request.js'

/** Undefined if no rule has rows. */
export function tableFor(runtime: Runtime, rule: BoundRule | undefined): ActionsTable | undefined {
  const row = rule?.row ?? runtime.kinds.map((kind) => boundRule(runtime, kind).rule?.row).find((one) => one !== undefined)
  return row && new ActionsTable(row.guard.table, runtime.keys.prefix)
}

/** All tables of actions, one for each database and schema of the rules. */
export function tablesOf(runtime: Runtime): ActionsTable[] {
  const tables = runtime.kinds.flatMap((kind) => {
    const row = boundRule(runtime, kind).rule?.row
    return row ? [new ActionsTable(row.guard.table, runtime.keys.prefix)] : []
  })
  return tables.filter((one, i) => tables.findIndex(({ name, sequelize }) => name === one.name && sequelize === one.sequelize) === i)
}

export function entryOf(
  action: string,
  kind: string,
  { user, via, reason }: Actor,
): Pick<ActionEntry, 'action' | 'kind' | 'actor' | 'via' | 'reason'> {
  return { action, kind, actor: user, via, reason }
}

/** One entry by itself. @throws OrderTimersError NOT_RECORDED, POSTGRES_UNAVAILABLE; what Postgres throws */
export function recordAlone(table: ActionsTable, entry: ActionEntry): Promise<string> {
  return withinCall(table.sequelize, undefined, performance.now(), (within) => {
    const write = () => table.record(entry, within)
    return callConnectionOf(within)?.write(write) ?? write()
  })
}

export interface AskedAct {
  action: string
  kind: string
  actor: Actor
  ids: readonly string[]
}

/**
 * Records the request, carries it out, and records the outcome. If that last entry cannot be written, the entry `asked` remains, and the outcome is
 * returned.
 * @throws OrderTimersError NOT_RECORDED, POSTGRES_UNAVAILABLE, and then nothing was done; what `work` throws, which is recorded as failed
 */
export async function recorded<T extends Ended>(
  table: ActionsTable | undefined,
  asked: AskedAct,
  work: () => Promise<T>,
): Promise<T & { record: string | null }> {
  const { action, kind, actor, ids } = asked
  if (!table) return { ...(await work()), record: null }
  const entry = entryOf(action, kind, actor)
  const record = await recordAlone(table, { ...entry, state: 'asked', count: ids.length, orders: ids.map((id) => ({ id })) })
  const end = (rest: Pick<ActionEntry, 'state' | 'count' | 'orders' | 'error'>) =>
    recordAlone(table, { ...entry, reason: undefined, ends: record, ...rest }).catch(() => {})
  try {
    const ended = await work()
    const failed = ended.orders.length > 0 && ended.orders.every(({ outcome }) => outcome === 'failed')
    await end({ state: failed ? 'failed' : 'done', count: ended.count, orders: forRecord(ended.orders) })
    return { ...ended, record }
  } catch (error) {
    await end({ state: 'failed', count: 0, orders: [], error: errorText(error) })
    throw error
  }
}

/** How many orders an action was carried out on; a bulk action without ids has no `orders`. */
export interface Ended {
  count: number
  orders: ActedOrder[]
}

export function endedOn(orders: ActedOrder[]): Ended {
  return { count: countDone(orders), orders }
}

export function asActed({ action, kind }: Pick<AskedAct, 'action' | 'kind'>, { orders, record }: Ended & { record: string | null }): Acted {
  return actedOn(action, kind, record, orders)
}
