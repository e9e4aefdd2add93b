// `order-timers release`: releases a rule that its brake has stopped.

import { type Released, releaseRule } from '../timers/release.js'
import type { Runtime } from '../timers/runtime.js'
import { noBrake, releaseAct } from './actions/release.js'
import type { Actor } from './actions/request.js'

const WAIT_MS = 5_000

/**
 * @param actor who does it, for the record; without one it is not recorded
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION if the rule has no brake; with an actor also NOT_RECORDED; what Postgres throws
 */
export async function releaseBrake(runtime: Runtime, kind: string, actor?: Actor): Promise<Released> {
  const { row } = runtime.rule(kind)
  if (!row?.brake) throw noBrake(kind)
  await runtime.redis?.connection.connected(WAIT_MS).catch(() => {}) // the next call reports a failure
  return actor ? releaseAct(runtime, kind, actor, { waitMs: WAIT_MS }) : releaseRule(runtime, kind, WAIT_MS)
}
