// An action on orders whose deadlines are on their rows: one transaction reads the rows, writes those that have not changed, and records the
// action. Redis is updated after the commit, as after any call. Workers settle, not this process.

import type { Transaction } from 'sequelize'
import { OrderTimersError } from '../../errors.js'
import { ActionsTable } from '../../rows/actions-table.js'
import type { NewDeadline } from '../../rows/deadline-sql.js'
import type { ColumnDeadline, RowRule, SinceDeadline } from '../../rows/row-rule.js'
import type { RowState } from '../../rows/timer-state.js'
import type { OrderRule } from '../../rules/rule.js'
import { type CallConnection, callConnectionOf, withinCall } from '../../sequelize/call-connection.js'
import type { Runtime } from '../../timers/runtime.js'
import { type Acted, type ActedOrder, actedOn, countDone, forRecord, isAsShown, refusedOrder, skippedOrder } from './acted.js'
import { entryOf } from './record.js'
import type { Actor, ParsedAct } from './request.js'
import { writeEach } from './write-each.js'

/** A rule whose deadlines are on the rows. */
export type OnRows = OrderRule & { readonly row: RowRule & { readonly deadline: ColumnDeadline | SinceDeadline } }

export function isOnRows(rule: ParsedAct['rule']): rule is OnRows {
  return rule.row !== undefined && rule.reminder === undefined && rule.row.deadline.in !== 'redis'
}

/**
 * @throws OrderTimersError NOT_RECORDED, POSTGRES_UNAVAILABLE, INVALID_MODEL, and then nothing was written; OUTCOME_UNKNOWN; what Postgres throws
 */
export async function actOnRows(runtime: Runtime, rule: OnRows, act: ParsedAct, actor: Actor): Promise<Acted> {
  const { kind, row } = rule
  const { sequelize } = row.guard.table
  const table = new ActionsTable(row.guard.table, runtime.keys.prefix)
  const write = async (transaction: Transaction) => {
    const orders = await written(row, kind, act, transaction)
    if (act.unverified) await waive(row, orders, actor, transaction)
    const count = countDone(orders)
    const entry = {
      ...entryOf(act.unverified ? 'settle unverified' : act.action, kind, actor),
      state: 'done',
      count,
      orders: forRecord(orders),
    } as const
    return { orders, record: await table.record(entry, transaction) }
  }
  const { orders, record } = await withinCall(sequelize, undefined, performance.now(), (within) =>
    (callConnectionOf(within) as CallConnection).transact(() => write(within)),
  )
  await Promise.all(orders.map((order) => tellRedis(runtime, rule, act.action, order)))
  return actedOn(act.action, kind, record, orders)
}

/** A worker settles these without asking, unless somebody writes the row before that. */
async function waive(
  { verification }: RowRule,
  orders: readonly ActedOrder[],
  { user, reason = '' }: Actor,
  transaction: Transaction,
): Promise<void> {
  const ids = orders.filter(({ outcome }) => outcome === 'done').map(({ id }) => id)
  if (ids.length > 0) await verification?.unverified.waive(ids, { by: user, reason }, transaction)
}

async function written(
  row: OnRows['row'],
  kind: string,
  { action, shown, byMs }: ParsedAct,
  transaction: Transaction,
): Promise<ActedOrder[]> {
  const ids = [...shown.keys()]
  const states = await row.states.lockAll(ids, transaction)
  const others = ids.filter((id) => !states.has(id))
  const locked = others.length === 0 ? new Map() : await row.states.findAll(others, transaction)
  const asShown = new Map([...states].filter(([id, { deadline }]) => isAsShown(shown.get(id), deadline)))
  const results = await outcomes(row, kind, { action, byMs }, asShown, transaction)
  return ids.map((id) => {
    const state = states.get(id)
    if (!state && locked.has(id)) return refusedOrder(id, rowLocked(kind, id))
    if (!state) return action === 'discard' ? { id, outcome: 'done' } : refusedOrder(id, row.states.notFound(id))
    const { deadline: before, inFrom } = state
    if (!asShown.has(id)) return skippedOrder(kind, id, shown.get(id) ?? null, before)
    if (action === 'discard' && !inFrom) return { id, outcome: 'done', before, after: before } // no sweep would try it again
    const after = results.get(id) as number | null | OrderTimersError
    return after instanceof OrderTimersError ? refusedOrder(id, after, before) : { id, outcome: 'done', before, after }
  })
}

/** For each order its present deadline, or why the action is refused. */
function outcomes(
  row: OnRows['row'],
  kind: string,
  { action, byMs }: Pick<ParsedAct, 'action' | 'byMs'>,
  states: ReadonlyMap<string, RowState>,
  transaction: Transaction,
): Promise<Map<string, number | null | OrderTimersError>> {
  const { deadline } = row
  const { sequelize } = row.guard.table
  if (deadline.in === 'column') return writeEach(sequelize, kind, deadline.writes, states, valueFor(action, byMs), transaction)
  if (action === 'settle') return dueSince(row, kind, states, transaction)
  return Promise.resolve(new Map([...states.keys()].map((id) => [id, keptBySince(kind, id)])))
}

/** Under `since` there is nothing to write. A due order is armed, so that a worker checks it at once. */
async function dueSince(
  { states: rows }: RowRule,
  kind: string,
  states: ReadonlyMap<string, RowState>,
  transaction: Transaction,
): Promise<Map<string, number | null | OrderTimersError>> {
  const due = await rows.dueOf([...states.keys()], transaction)
  return new Map(
    [...states].map(([id, state]) => {
      if (!state.inFrom) return [id, rows.notInFrom(id, state)]
      return [id, due.has(id) ? state.deadline : notDue(kind, id, state)]
    }),
  )
}

function valueFor(action: ParsedAct['action'], byMs: number): NewDeadline {
  if (action === 'extend') return { byMs }
  return action === 'pause' || action === 'resume' || action === 'settle' ? action : null
}

/** What Redis does not accept is left to the sweep, which finds it on the rows. */
async function tellRedis({ redis }: Runtime, rule: OnRows, action: ParsedAct['action'], order: ActedOrder): Promise<void> {
  const { id, outcome, before, after } = order
  if (outcome !== 'done') return
  if (typeof after === 'number' && action !== 'discard') order.armed = (await redis?.arming.arm(rule, id, after)) ?? false
  else if (typeof before === 'number' && after === null) await redis?.arming.disarm(rule, id, before)
}

function rowLocked(kind: string, id: string): OrderTimersError {
  return new OrderTimersError('ROW_LOCKED', `orderTimers: ${kind}: order ${id} is locked by another transaction; ask again`)
}

/** For `discard`. */
function keptBySince(kind: string, id: string): OrderTimersError {
  const why = 'its deadline follows from the row ("since"), so the next sweep would find it again; change the row, or retry it'
  return new OrderTimersError('NOT_ON_SINCE', `orderTimers: ${kind}: order ${id} cannot be discarded: ${why}`)
}

function notDue(kind: string, id: string, { deadline, remainingMs }: RowState): OrderTimersError {
  const why =
    deadline === null
      ? 'has no deadline'
      : remainingMs === 0
        ? 'is overdue for longer than "staleAfter"; `order-timers sweep --stale` settles such orders'
        : 'is not due yet, and its deadline follows from the row ("since"); change the row'
  return new OrderTimersError('NOT_ON_SINCE', `orderTimers: ${kind}: order ${id} ${why}`)
}
