// An operator's action on 1 to 200 orders, recorded in the table of actions. The admin page and the command
// use this.

import { OrderTimersError } from '../../errors.js'
import { codedErrors } from '../../timers/coded-errors.js'
import type { Runtime } from '../../timers/runtime.js'
import { stopOfRule } from '../stop.js'
import type { Acted } from './acted.js'
import { discardDead } from './discard.js'
import { actInRedis } from './redis-act.js'
import { type Actor, type ActRequest, parseAct, requireActor, requireReason } from './request.js'
import { actOnRows, isOnRows } from './row-act.js'

const ASKED_FIRST = '"verify" is asked first, and an order is settled once it has answered true'

/**
 * Each order is handled by itself: the outcome for one does not affect the others.
 * @returns the outcome for each order
 * @throws OrderTimersError INVALID_ACTION, UNKNOWN_KIND, INVALID_ID, INVALID_DURATION, NOT_ON_SINCE, NOT_PAUSABLE (400); NOT_RECORDED if the
 * table of actions is missing, and INVALID_MODEL, INVALID_OPTION (500); POSTGRES_UNAVAILABLE, REDIS_UNAVAILABLE, REDIS_REFUSES, and OUTCOME_UNKNOWN
 * if it may have been carried out (503)
 */
export function act(runtime: Runtime, request: ActRequest, actor: Actor): Promise<Acted> {
  return codedErrors(runtime.redis?.source.describe() ?? '', async () => {
    requireActor(actor)
    requireEnabled(runtime)
    const parsed = parseAct(runtime, request)
    const { rule, action, unverified } = parsed
    if (unverified) requireReason(actor)
    const work = () => {
      if (action === 'retry' || !isOnRows(rule)) return actInRedis(runtime, parsed, actor)
      return action === 'discard' ? discardDead(runtime, rule, parsed, actor) : actOnRows(runtime, rule, parsed, actor)
    }
    const acted = await work()
    runtime.meters.actions.add(action)
    if ((action !== 'settle' && action !== 'retry') || acted.count === 0 || !rule.row) return acted
    // It has been carried out, so an error must not hide that.
    const stopped = (await stopOfRule(rule.row).catch(() => undefined)) ?? (rule.row.verification && !unverified ? ASKED_FIRST : undefined)
    return stopped === undefined ? acted : { ...acted, stopped }
  })
}

/** @throws OrderTimersError INVALID_OPTION */
export function requireEnabled({ enabled }: Runtime): void {
  if (enabled) return
  const message =
    'orderTimers: the timers are switched off (ORDER_TIMERS=off or enabled: false), and then no action is possible; switch them on'
  throw new OrderTimersError('INVALID_OPTION', message)
}
