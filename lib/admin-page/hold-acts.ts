// Holding a rule from the page, and releasing a hold, with the answers for the page. Neither waits longer than a user would.

import { holdAct, releaseHoldAct } from '../admin/actions/hold.js'
import type { Actor } from '../admin/actions/request.js'
import { OrderTimersError } from '../errors.js'
import type { Runtime } from '../timers/runtime.js'
import type { ActWish } from './act-wish.js'

const SETTLING_MS = 2_000

export interface ActedHold {
  kind: string
  hold: {
    /** `held`: the rule is held. `opening`: it opens by itself. `moving`: its deadlines are still being moved. */
    state: 'held' | 'released' | 'opening' | 'moving'
    opensAtMs: number | null
    /** How many deadlines were moved so far. */
    moved: number
    /** As text: settlements that began before the hold and still run; or who now settles what was held. */
    more: string | undefined
  }
}

/** @throws OrderTimersError as `timers.hold`, except HOLD_IN_FLIGHT: then the hold stands */
export async function holdFromPage(runtime: Runtime, { kind, reason = '' }: ActWish, actor: Actor): Promise<ActedHold> {
  const held = (more?: string): ActedHold => ({ kind, hold: { state: 'held', opensAtMs: null, moved: 0, more } })
  try {
    await holdAct(runtime, kind, { reason }, actor, { waitMs: SETTLING_MS })
    return held()
  } catch (error) {
    if (error instanceof OrderTimersError && error.code === 'ERR_ORDER_TIMERS_HOLD_IN_FLIGHT') return held(error.message)
    throw error
  }
}

/**
 * A worker's sweep moves the deadlines, and is requested at once: this may take long, and the web process's role may lack the rights.
 * @throws OrderTimersError as `timers.release`; NOT_HELD if the present hold is not the one that was shown
 */
export async function releaseFromPage(runtime: Runtime, { kind, end, by, heldSince }: ActWish, actor: Actor): Promise<ActedHold> {
  const options = end === 'shift' ? { shift: true } : end === 'grace' ? { grace: by as `${number}h` } : {}
  const details = { shownSince: heldSince, signal: AbortSignal.abort() }
  const { hold, moved, next } = await releaseHoldAct(runtime, kind, options, actor, details)
  const isMoving = hold.end === 'shift' && !(await isReleased(runtime, kind))
  const state = hold.opensAt !== null ? 'opening' : isMoving ? 'moving' : 'released'
  return { kind, hold: { state, opensAtMs: hold.opensAt, moved, more: state === 'released' ? next : undefined } }
}

async function isReleased(runtime: Runtime, kind: string): Promise<boolean> {
  const standing = (await runtime.rule(kind).row?.holds.standing()) ?? []
  return !standing.some(({ owner }) => owner === '')
}
