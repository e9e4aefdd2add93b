// The output of `order-timers plan` for people.

import type { Sample } from '../admin/order-counts.js'
import type { RulePlan } from '../admin/plan.js'
import { oneLine } from './one-line.js'
import { grouped, table } from './table.js'

export function planText(plans: readonly RulePlan[], days: number): string {
  return plans.map((one) => ruleText(one, days).join('\n')).join('\n\n')
}

function ruleText({ kind, census: counts, dead, notes, problem }: RulePlan, days: number): string[] {
  const remarks = notes.map((note) => `  ${note}`)
  if (problem !== undefined && !counts) return [kind, `  could not be read: ${problem}`]
  const deadLetters: Figure = ['dead letters', dead, 'no attempts left: `order-timers dead` lists them']
  if (!counts) return [kind, ...(dead ? indented(table(['', 'orders', ''], [deadLetters]).slice(1)) : []), ...remarks]
  const figures: Figure[] = [
    ['settled at once', counts.overdue, 'overdue: the first sweep settles them'],
    ['tried again', counts.retrying, 'overdue, and failed: they wait for another attempt'],
    ['locked', counts.locked, "overdue, and in somebody's transaction: settled once that has ended"],
    deadLetters,
    ['held as stale', counts.stale, 'overdue by more than "staleAfter": until `order-timers sweep --stale --yes`'],
    ['undated', counts.undated, 'where the rule applies, without a deadline'],
    ['paused', counts.paused, ''],
    ['held back', counts.held, 'by "where", a pause or a hold of the rule'],
    ...(counts.unverified > 0 ? ([['unverified', counts.unverified, 'until "verify" says yes']] satisfies Figure[]) : []),
    [`due in ${days} ${days === 1 ? 'day' : 'days'}`, counts.upcoming, 'by the hour below'],
    ['due later', counts.later, ''],
    ['in all', counts.total, ''],
  ]
  return [
    kind,
    ...(problem === undefined ? [] : problem.split('\n').map((line) => `  ${line}`)),
    ...indented(table(['', 'orders', ''], figures).slice(1)),
    ...remarks,
    ...sampleText('settled at once', counts.samples.overdue),
    ...sampleText('held as stale', counts.samples.stale),
    ...sampleText('due next', counts.samples.upcoming),
    ...hoursText(counts.hours),
    `  (Postgres took ${grouped(Math.round(counts.queryMs))} ms; nothing was changed)`,
  ]
}

type Figure = [what: string, count: number | undefined, remark: string]

function hoursText(hours: readonly { from: Date; count: number }[]): string[] {
  if (hours.length === 0) return []
  const rows = hours.map(({ from, count }) => [`${from.toISOString().slice(0, 16).replace('T', ' ')} UTC`, count])
  return ['  by the hour:', ...indented(indented(table(['hour from', 'orders'], rows).slice(1)))]
}

export function sampleText(what: string, samples: readonly Sample[]): string[] {
  if (samples.length === 0) return []
  return [`  ${what}, the first: ${samples.map(({ id, deadline }) => `${oneLine(id)} (${deadline.toISOString()})`).join(', ')}`]
}

function indented(lines: string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
