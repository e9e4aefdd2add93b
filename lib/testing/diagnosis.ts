// Why an order has no timer, and why an order that is due is not settled, as text for a failed test.

import { OrderTimersError, show } from '../errors.js'
import { cannotLock } from '../rows/lock-holders.js'
import { columnOf } from '../rows/row-options.js'
import type { RowRule } from '../rows/row-rule.js'
import type { RowState } from '../rows/timer-state.js'
import { isSwept, type ShopRule } from '../rules/rule.js'
import { inTransaction } from '../sequelize/database.js'
import type { Runtime } from '../timers/runtime.js'
import type { ExpiryWorker } from '../worker/worker.js'

const LIMITS = { lockMs: 2_000, statementMs: 2_000, idleMs: 5_000 }

export function named({ kind, row }: ShopRule, id: string): string {
  return `${kind}: ${row ? `${row.guard.table.model.name} ` : ''}${show(id)}`
}

/** @param caller the beginning of the message */
export async function whyNoTimer(caller: string, runtime: Runtime, rule: ShopRule, id: string): Promise<OrderTimersError> {
  const { row } = rule
  const state = await row?.states.find(id, null)
  if (row && !state) return row.states.notFound(id)
  if (row && state && !state.inFrom) return row.states.notInFrom(id, state)
  if (!isSwept(rule) && !runtime.redis)
    return new OrderTimersError('REDIS_UNAVAILABLE', `${caller}: ${rule.kind}: its timers are only in Redis, and there is none`)
  return new OrderTimersError('NO_TIMER', `${caller}: ${named(rule, id)} ${diagnosis(rule, state)}`)
}

/** For an order to which the rule applies. */
function diagnosis({ kind, row }: ShopRule, state: RowState | undefined): string {
  if (state?.paused && !(row && columnOf(row.options)?.pause?.while)) return `is paused; call resume('${kind}', …) first`
  if (state?.paused || (state && state.deadline !== null)) return 'is paused by what its row says'
  return `has no timer; call schedule('${kind}', …) first`
}

/** For a due order. */
export async function whyNotSettled(worker: ExpiryWorker, rule: ShopRule, id: string): Promise<string> {
  const { row } = rule
  const state = await row?.states.find(id, null)
  const faults = worker.health().faults.map(({ code, message }) => `${code}: ${message}`)
  if (row && !state) return 'the order is gone'
  if (row && state && !state.inFrom) return `it has been moved, perhaps by another worker: ${row.states.notInFrom(id, state).message}`
  if (row?.deadline.in === 'column' && state?.deadline === null) return 'its deadline was cleared meanwhile'
  if (row && (await row.holds.standing()).length > 0) return 'the rule is held'
  if (await row?.brake?.brakedAt()) return 'the brake has stopped the rule'
  if (row && (await isLocked(row, id))) return 'its row is locked by another transaction'
  return faults.length > 0
    ? `the worker is in trouble (${faults.join('; ')})`
    : 'no worker took it; is it still settling a batch of this rule?'
}

function isLocked({ guard: { table } }: RowRule, id: string): Promise<boolean> {
  return inTransaction(table.sequelize, LIMITS, (transaction) => cannotLock(table, id, transaction))
}
