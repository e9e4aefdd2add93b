// What a sweep does with the holds of a rule: it skips a rule that is held, releases a hold whose end has come, and goes on with the release of a
// process that died. It tells of a run in bulk that nobody carries out any more.

import type { Hold } from '../../rows/holds.js'
import type { RowRule } from '../../rows/row-rule.js'
import { RUN_OWNER } from '../../rows/runs-table.js'
import type { BoundRule } from '../../rules/rule.js'
import { leftRun } from '../../timers/bulk/unfinished.js'
import { carryOut } from '../../timers/hold.js'
import type { Faults } from '../faults.js'

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

/** @throws what Postgres throws */
export async function reportLeftRun(
  { kind, row, reminder }: BoundRule,
  standing: readonly Hold[],
  prefix: string,
  faults: Faults,
): Promise<void> {
  if (!row || reminder) return
  const left = standing.some(({ owner }) => owner === RUN_OWNER) ? await leftRun(row as RowRule, prefix) : undefined
  if (!left) return faults.clear('RUN_UNFINISHED', kind)
  faults.raise('RUN_UNFINISHED', { kind, message: `${kind}: ${left.message}`, remedy: left.remedy })
}
