// Holds a kind, and releases the hold, as recorded actions: the entry is in the transaction that commits the hold, or begins its release.

import { OrderTimersError } from '../../errors.js'
import type { HeldKind, HoldOptions, ReleaseOptions } from '../../hold.js'
import { ActionsTable } from '../../rows/actions-table.js'
import type { Hold } from '../../rows/holds.js'
import { codedErrors } from '../../timers/coded-errors.js'
import { type HoldDetails, holdable, holdKind, type ReleasedHold, releaseHold } from '../../timers/hold.js'
import { askForSweep, type Released } from '../../timers/release.js'
import type { Runtime } from '../../timers/runtime.js'
import { requireEnabled } from './act.js'
import { entryOf } from './record.js'
import { type Actor, requireActor } from './request.js'

/** How long an operator waits for running settlements. */
const SETTLING_MS = 10_000

/** @throws OrderTimersError as `timers.hold`; INVALID_ACTION, NOT_RECORDED, and then nothing is held */
export function holdAct(runtime: Runtime, kind: string, options: HoldOptions, actor: Actor, details: HoldDetails = {}): Promise<HeldKind> {
  return codedErrors(runtime.redis?.source.describe() ?? '', async () => {
    requireActor(actor)
    requireEnabled(runtime)
    const by = { by: actor.user, ...options }
    const beside = recording(runtime, kind, 'hold', { ...actor, reason: options.reason })
    const held = await holdKind(runtime, kind, by, { waitMs: SETTLING_MS, beside, ...details })
    runtime.meters.actions.add('hold')
    return held
  })
}

export interface ActedHoldRelease extends Released, ReleasedHold {}

export interface HoldReleaseDetails {
  /** How long to wait for Redis, which wakes the workers. */
  waitMs?: number
  /** The start of the hold that was shown, in milliseconds: no other hold is released. */
  shownSince?: number | undefined
  /** As in `releaseHold`. */
  signal?: AbortSignal
}

/**
 * @param actor who does it, for the record; without one it is not recorded
 * @throws OrderTimersError as `timers.release` for a hold; NOT_HELD if another one stands; with an actor also INVALID_ACTION, NOT_RECORDED, and then nothing is
 * released
 */
export function releaseHoldAct(
  runtime: Runtime,
  kind: string,
  options: ReleaseOptions,
  actor: Actor | undefined,
  { waitMs, shownSince, signal }: HoldReleaseDetails = {},
): Promise<ActedHoldRelease> {
  return codedErrors(runtime.redis?.source.describe() ?? '', async () => {
    if (actor) requireActor(actor)
    requireEnabled(runtime)
    const record = actor && recording(runtime, kind, 'release', actor)
    const beside: HoldDetails['beside'] = async (transaction, hold) => {
      if (shownSince !== undefined && Math.trunc(hold.since) !== shownSince) throw heldAgain(kind, hold)
      await record?.(transaction, hold)
    }
    const released = await releaseHold(runtime, kind, options, beside, signal)
    runtime.meters.actions.add('release')
    return { ...released, ...(await askForSweep(runtime, true, waitMs)) }
  })
}

function recording(runtime: Runtime, kind: string, action: string, actor: Actor): HoldDetails['beside'] {
  const { guard } = holdable(runtime, kind)
  const table = new ActionsTable(guard.table, runtime.keys.prefix)
  return (transaction, _hold: Hold) => table.record({ ...entryOf(action, kind, actor), state: 'done', count: 1, orders: [] }, transaction)
}

function heldAgain(kind: string, { since, by, reason }: Hold): OrderTimersError {
  const other = `another hold stands, since ${new Date(since).toISOString()} by ${by} (${reason})`
  return new OrderTimersError(
    'NOT_HELD',
    `orderTimers: ${kind}: the hold that was shown has ended, and ${other}; nothing was released; look at it again`,
  )
}
