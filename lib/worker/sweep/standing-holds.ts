// What a sweep does with the holds of a rule: it skips a rule that is held, releases a hold whose end has come, and goes on with the release of a
// process that died.

import type { Hold } from '../../rows/holds.js'
import type { BoundRule } from '../../rules/rule.js'
import { carryOut } from '../../timers/hold.js'

/** @returns what still stands, a person's first @throws what Postgres throws, and ROW_LOCKED */
export async function standingHolds({ row, reminder }: BoundRule, stopping: AbortSignal): Promise<Hold[]> {
  if (!row) return []
  const standing = await row.holds.standing()
  const own = standing.find(({ owner }) => owner === '')
  if (!own || reminder || !('link' in row)) return standing
  const isOver = own.state === 'held' && own.untilOver === true
  const release = isOver ? await row.holds.beginRelease(own.end ?? 'none', { graceMs: own.graceMs ?? 0 }) : own
  if (release.state === 'held' || (release.state === 'releasing' && release.end === 'grace')) return standing
  await carryOut(row, release, stopping)
  return row.holds.standing()
}
