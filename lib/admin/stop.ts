// Why a rule as a whole settles nothing now, although its orders are due.

import type { SettledRows } from '../rows/row-rule.js'

/** @returns text for a person; undefined if nothing stops it. @throws what Postgres throws */
export async function stopOfRule({ options, holds, brake }: SettledRows): Promise<string | undefined> {
  if (options.dryRun) return 'the rule has "dryRun", and settles nothing'
  const [hold] = await holds.standing()
  if (hold) return `the rule is held since ${new Date(hold.since).toISOString()} (${hold.reason})`
  const stoppedAt = await brake?.brakedAt()
  return stoppedAt ? `the rule is stopped by its brake since ${stoppedAt.toISOString()}` : undefined
}
