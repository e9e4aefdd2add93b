// Releases a rule that its brake has stopped, as a recorded action: both are in one transaction.

import { OrderTimersError } from '../../errors.js'
import { ActionsTable } from '../../rows/actions-table.js'
import { type CallConnection, callConnectionOf, withinCall } from '../../sequelize/call-connection.js'
import { codedErrors } from '../../timers/coded-errors.js'
import { askForSweep, type Released } from '../../timers/release.js'
import type { Runtime } from '../../timers/runtime.js'
import { entryOf } from './record.js'
import { type Actor, requireActor } from './request.js'

export interface ActedRelease extends Released {
  kind: string
  /** The time of a later stop than the one that was shown; then it was not released. Else null. */
  stoppedAgain: Date | null
  /** The id of the entry in `order_timers_actions`. */
  record: string
}

/**
 * @param options.waitMs how long to wait for Redis, which wakes the workers
 * @param options.stoppedSince what was shown, in milliseconds: a rule that was stopped at another time since then is not released, and
 * `stoppedAgain` is when that was
 * @throws OrderTimersError INVALID_ACTION, UNKNOWN_KIND, INVALID_OPTION if the rule has no brake, NOT_RECORDED, POSTGRES_UNAVAILABLE,
 * OUTCOME_UNKNOWN
 */
export function releaseAct(
  runtime: Runtime,
  kind: string,
  actor: Actor,
  { waitMs, stoppedSince }: { waitMs?: number; stoppedSince?: number | undefined } = {},
): Promise<ActedRelease> {
  return codedErrors(runtime.redis?.source.describe() ?? '', async () => {
    requireActor(actor)
    const { row } = runtime.rule(kind)
    const brake = row?.brake
    if (!row || !brake) throw noBrake(kind)
    const { sequelize } = row.guard.table
    const table = new ActionsTable(row.guard.table, runtime.keys.prefix)
    const done = await withinCall(sequelize, undefined, performance.now(), (within) =>
      (callConnectionOf(within) as CallConnection).transact(async () => {
        const wasStopped = await brake.release(within, stoppedSince)
        const stoppedAgain = stoppedSince === undefined ? null : await brake.brakedAt(within) // a released rule is not stopped
        const entry = { ...entryOf('release', kind, actor), state: 'done', count: wasStopped ? 1 : 0, orders: [] } as const
        return { wasStopped, stoppedAgain, record: await table.record(entry, within) }
      }),
    )
    runtime.meters.actions.add('release')
    const { record, wasStopped, stoppedAgain } = done
    if (stoppedAgain === null) return { kind, record, stoppedAgain, ...(await askForSweep(runtime, wasStopped, waitMs)) }
    const next = `it was stopped again at ${stoppedAgain.toISOString()}, and was not released; look at it again`
    return { kind, record, stoppedAgain, wasStopped, workersAsked: 0, next }
  })
}

export function noBrake(kind: string): OrderTimersError {
  const remedy = 'if a brake is to stop it, give it one, such as brake: { max: 1000, per: "1h" }'
  return new OrderTimersError('INVALID_OPTION', `orderTimers: rule "${kind}" has no "brake" to release; ${remedy}`)
}
