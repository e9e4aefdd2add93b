// What `order-timers sweep` did, as a person reads it.

import type { KindSwept, SweepResult } from '../admin/sweep-once.js'
import { grouped, table } from './table.js'

const HEADER = ['rule', 'settled', 'failed', 'dead', 'locked', 'held', 'rehearsed', 'left']

export function sweepText({ kinds, faults, claimed, durationMs }: SweepResult): string {
  const rules = Object.entries(kinds)
  const rows = rules.map(([kind, { settled, failed, dead, locked, held, rehearsed, left }]) => {
    return [kind, settled, failed, dead, locked, held, rehearsed, left]
  })
  return [
    ...(rows.length === 0 ? ['no rule here has deadlines on its rows, so there is nothing to sweep'] : table(HEADER, rows)),
    '',
    ...rules.flatMap(([kind, swept]) => remarks(swept).map((remark) => `${kind}: ${remark}`)),
    ...faults.map(({ code, message }) => `${code}: ${message}`),
    ...(claimed ? [] : ['Redis was not used or did not answer; the rows themselves kept this apart from other workers']),
    `took ${grouped(Math.round(durationMs))} ms`,
  ].join('\n')
}

function remarks({ locked, left = 0, rehearsed, brakedSince }: KindSwept): string[] {
  if (brakedSince) return [`stopped by its brake since ${brakedSince.toISOString()}; order-timers release lets it go on`]
  if (rehearsed > 0) return ['dryRun: it settles nothing as yet']
  if (locked > 0) return [`${grouped(locked)} rows are locked by somebody and were left; sweep once more for them`]
  if (left === 0) return []
  return [`${grouped(left)} are left: they failed, or a worker has them in hand; sweep once more`]
}
