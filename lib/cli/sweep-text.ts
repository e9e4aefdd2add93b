// What `order-timers sweep` did, as a person reads it.

import type { SweepResult } from '../admin/sweep-once.js'
import { grouped, table } from './table.js'

export function sweepText({ kinds, faults, claimed, durationMs }: SweepResult): string {
  const rows = Object.entries(kinds).map(([kind, { settled, failed, dead, locked, held, rehearsed }]) => {
    return [kind, settled, failed, dead, locked, held, rehearsed]
  })
  const remarks = Object.entries(kinds).flatMap(([kind, { locked, brakedSince }]) => [
    ...(locked > 0 ? [`${kind}: ${grouped(locked)} rows are locked by somebody and were left; sweep once more for them`] : []),
    ...(brakedSince
      ? [`${kind}: stopped by its brake since ${brakedSince.toISOString()}; order-timers release ${kind} lets it go on`]
      : []),
  ])
  return [
    ...(rows.length === 0
      ? ['no rule here has deadlines on its rows, so there is nothing to sweep']
      : table(['rule', 'settled', 'failed', 'dead', 'locked', 'held', 'rehearsed'], rows)),
    '',
    ...remarks,
    ...faults.map(({ code, message }) => `${code}: ${message}`),
    ...(claimed ? [] : ['Redis was not used or did not answer; the rows themselves kept this apart from other workers']),
    `took ${grouped(Math.round(durationMs))} ms`,
  ].join('\n')
}
