// `order-timers release`: lets a rule go on that its brake has stopped.

import { type Released, releaseRule } from '../timers/release.js'
import type { Runtime } from '../timers/runtime.js'
import { noBrake } from './actions/release.js'

const WAIT_MS = 5_000

/** @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION where the rule has no brake; what Postgres throws */
export async function releaseBrake(runtime: Runtime, kind: string): Promise<Released> {
  const { row } = runtime.rule(kind)
  if (row?.brake) {
    await runtime.redis?.connection.connected(WAIT_MS).catch(() => {}) // `releaseRule` says what came of it
    return releaseRule(runtime, kind, WAIT_MS)
  }
  throw noBrake(kind)
}
