// The output of `order-timers sweep` for people.

import type { StalePlan } from '../admin/stale-plan.js'
import type { KindSwept, SweepResult } from '../admin/sweep-once.js'
import { sampleText } from './plan-text.js'
import { grouped, table } from './table.js'

const HEADER = ['rule', 'settled', 'dry run', 'left', 'retrying', 'locked', 'dead', 'stale', 'held', 'unverified']

export function sweepText({ kinds, faults, claimed, durationMs }: SweepResult): string {
  const rules = Object.entries(kinds)
  const rows = rules.map(([kind, { settled, dryRun, left, retrying, locked, dead, stale, held, unverified }]) => {
    return [kind, settled, dryRun, left, retrying, locked, dead, stale, held, unverified]
  })
  return [
    ...(rows.length === 0 ? ['no rule here has deadlines on its rows, so there is nothing to sweep'] : table(HEADER, rows)),
    '',
    ...rules.flatMap(([kind, swept]) => remarks(kind, swept, faults).map((remark) => `${kind}: ${remark}`)),
    ...faults.map(({ code, message }) => `${code}: ${message}`),
    ...(claimed ? [] : ['Redis was not used or did not answer; row locks kept this apart from other workers']),
    `took ${grouped(Math.round(durationMs))} ms`,
  ].join('\n')
}

/** What to do about the orders that this pass did not settle. */
function remarks(kind: string, swept: KindSwept, faults: SweepResult['faults']): string[] {
  const { dryRun, failed, left = 0, retrying, locked = 0, dead, stale = 0, brakedSince } = swept
  const all: [number | undefined, string][] = [
    [brakedSince ? 1 : 0, `stopped by its brake since ${brakedSince?.toISOString()}; order-timers release ${kind} lets it go on`],
    [dryRun, 'dryRun: it settles nothing'],
    [brakedSince || dryRun > 0 ? 0 : left, `${grouped(left)} are left${leftText(kind, swept, faults)}`],
    [failed, `attempts that failed in this pass: ${grouped(failed)}`],
    [retrying, `${grouped(retrying ?? 0)} failed and wait for another attempt, which comes automatically`],
    [locked, `${grouped(locked)} are locked by somebody's transaction; the sweep after its end settles them`],
    [dead, `${grouped(dead ?? 0)} are dead letters, which no sweep settles; order-timers retry ${kind} puts them back`],
    [stale, `${grouped(stale)} are overdue by more than "staleAfter"; order-timers sweep --stale shows them`],
  ]
  return all.flatMap(([count, text]) => (count ? [text] : []))
}

/** Nothing is known of orders that were not read: no worker may have them in hand. */
function leftText(kind: string, { wasRead }: KindSwept, faults: SweepResult['faults']): string {
  if (faults.some((fault) => fault.kind === undefined || fault.kind === kind)) return ', since this pass had a fault'
  if (!wasRead) return ": another session has the sweep's lock, and nothing was read; if it keeps it, order-timers doctor names it"
  return ': another worker is settling them, or they came due meanwhile'
}

/** What a sweep with --stale would settle. */
export function staleText(plans: readonly StalePlan[]): string {
  const rows = plans.map(({ kind, stale, overdue, oldest }) => [kind, stale, overdue, oldest?.toISOString()])
  return [
    ...table(['rule', 'stale', 'overdue', 'oldest deadline'], rows),
    ...plans.flatMap(({ kind, samples, notes, problem }) => {
      const remarks = [...sampleText('stale', samples), ...(problem === undefined ? notes : [`could not be read: ${problem}`])]
      return remarks.map((remark) => `${kind}: ${remark.trim()}`)
    }),
  ].join('\n')
}
