// Lets a rule that its brake has stopped go on.

import { OrderTimersError } from '../errors.js'
import type { Runtime } from '../runtime.js'

/**
 * @returns whether the rule was stopped
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION where the rule has no brake; what Postgres throws
 */
export async function releaseBrake(runtime: Runtime, kind: string): Promise<boolean> {
  const { row } = runtime.rule(kind)
  if (row?.brake) return row.brake.release()
  const remedy = 'give it one, such as brake: { max: 1000, per: "1h" }, where it is to be stopped by one'
  throw new OrderTimersError('INVALID_OPTION', `orderTimers: rule "${kind}" has no "brake" that could be released; ${remedy}`)
}
