// `order-timers release`: lets a rule go on that its brake has stopped.

import { OrderTimersError } from '../errors.js'
import { type Released, releaseRule } from '../timers/release.js'
import type { Runtime } from '../timers/runtime.js'

const WAIT_MS = 5_000

/** @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION where the rule has no brake; what Postgres throws */
export async function releaseBrake(runtime: Runtime, kind: string): Promise<Released> {
  const { row } = runtime.rule(kind)
  if (row?.brake) {
    await runtime.redis?.connection.connected(WAIT_MS).catch(() => {}) // `releaseRule` says what came of it
    return releaseRule(runtime, kind, WAIT_MS)
  }
  const remedy = 'give it one, such as brake: { max: 1000, per: "1h" }, where it is to be stopped by one'
  throw new OrderTimersError('INVALID_OPTION', `orderTimers: rule "${kind}" has no "brake" that could be released; ${remedy}`)
}
