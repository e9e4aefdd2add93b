// `order-timers plan` as a person reads it.

import type { Sample } from '../admin/census.js'
import type { RulePlan } from '../admin/plan.js'
import { grouped, table } from './table.js'

export function planText(plans: readonly RulePlan[], days: number): string {
  return plans.map((one) => ruleText(one, days).join('\n')).join('\n\n')
}

function ruleText({ kind, census, notes }: RulePlan, days: number): string[] {
  const remarks = notes.map((note) => `  ${note}`)
  if (!census) return [kind, ...remarks]
  const figures: [string, number, string][] = [
    ['settled at once', census.overdue, 'overdue: the first sweep settles them'],
    ['held as stale', census.stale, 'overdue by more than "staleAfter": until `order-timers sweep --stale`'],
    ['undated', census.undated, 'where the rule applies, without a deadline'],
    ['paused', census.paused, ''],
    ['held back', census.held, 'by "where" or a pause'],
    [`due in ${days} ${days === 1 ? 'day' : 'days'}`, census.upcoming, 'by the hour below'],
    ['due later', census.later, ''],
  ]
  return [
    kind,
    ...indented(table(['', 'orders', ''], figures).slice(1)),
    ...remarks,
    ...sampleText('settled at once', census.samples.overdue),
    ...sampleText('held as stale', census.samples.stale),
    ...sampleText('due next', census.samples.upcoming),
    ...hoursText(census.hours),
    `  (Postgres took ${grouped(Math.round(census.queryMs))} ms; nothing was changed)`,
  ]
}

function hoursText(hours: readonly { from: Date; count: number }[]): string[] {
  if (hours.length === 0) return []
  const rows = hours.map(({ from, count }) => [`${from.toISOString().slice(0, 16).replace('T', ' ')} UTC`, count])
  return ['  by the hour:', ...indented(indented(table(['hour from', 'orders'], rows).slice(1)))]
}

function sampleText(what: string, samples: readonly Sample[]): string[] {
  if (samples.length === 0) return []
  return [`  ${what}, the first: ${samples.map(({ id, deadline }) => `${id} (${deadline.toISOString()})`).join(', ')}`]
}

function indented(lines: string[]): string[] {
  return lines.map((line) => `  ${line}`)
}
