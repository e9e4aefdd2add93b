// `order-timers plan` as a person reads it.

import type { Sample } from '../admin/census.js'
import type { RulePlan } from '../admin/plan.js'
import { grouped, table } from './table.js'

export function planText(plans: readonly RulePlan[], days: number): string {
  return plans.map((one) => ruleText(one, days).join('\n')).join('\n\n')
}

function ruleText({ kind, census, dead, notes, problem }: RulePlan, days: number): string[] {
  const remarks = notes.map((note) => `  ${note}`)
  if (problem !== undefined && !census) return [kind, `  could not be looked at: ${problem}`]
  const deadLetters: Figure = ['dead letters', dead, 'failed for the last time: `order-timers dead` lists them']
  if (!census) return [kind, ...(dead ? indented(table(['', 'orders', ''], [deadLetters]).slice(1)) : []), ...remarks]
  const figures: Figure[] = [
    ['settled at once', census.overdue, 'overdue: the first sweep settles them'],
    ['tried again', census.retrying, 'overdue, and failed: they wait for another attempt'],
    ['locked', census.locked, "overdue, and in somebody's transaction: settled once that has ended"],
    deadLetters,
    ['held as stale', census.stale, 'overdue by more than "staleAfter": until `order-timers sweep --stale --yes`'],
    ['undated', census.undated, 'where the rule applies, without a deadline'],
    ['paused', census.paused, ''],
    ['held back', census.held, 'by "where" or a pause'],
    [`due in ${days} ${days === 1 ? 'day' : 'days'}`, census.upcoming, 'by the hour below'],
    ['due later', census.later, ''],
    ['in all', census.total, ''],
  ]
  return [
    kind,
    ...(problem === undefined ? [] : problem.split('\n').map((line) => `  ${line}`)),
    ...indented(table(['', 'orders', ''], figures).slice(1)),
    ...remarks,
    ...sampleText('settled at once', census.samples.overdue),
    ...sampleText('held as stale', census.samples.stale),
    ...sampleText('due next', census.samples.upcoming),
    ...hoursText(census.hours),
    `  (Postgres took ${grouped(Math.round(census.queryMs))} ms; nothing was changed)`,
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
  return [`  ${what}, the first: ${samples.map(({ id, deadline }) => `${id} (${deadline.toISOString()})`).join(', ')}`]
}

function indented(lines: string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
