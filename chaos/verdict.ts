// The comparison at the end, until the judge takes it over: what the ledger says was settled early or twice, what is still overdue, and whether
// each settlement had its effect.

import type { Client } from 'pg'
import type { Change, Effect, RuleFacts } from './history.js'
import type { Journals } from './journal.js'
import { readEffects, readLedger } from './ledger.js'
import type { DoneFault } from './nemesis.js'
import { pendingOrders } from './pending.js'
import { RULES } from './rules.js'

export interface Verdict {
  timers: number
  settled: number
  wishes: number
  unknown: number
  faults: Record<string, number>
  features: Record<string, number>
  lost: number
  early: number
  twice: number
  latenessMs: { p50: number; p99: number; max: number }
  seed: number
}

/** Orders whose deadline was this long ago must have been settled: asked once nothing is pending any more. */
const OVERDUE_MS = 1000

interface Settled {
  rule: RuleFacts
  change: Change
  deadline: number | undefined
}

export async function judge(
  client: Client,
  { wishes }: Journals,
  faults: readonly DoneFault[],
  seed: number,
): Promise<Verdict & { details: string[] }> {
  const changes = await readLedger(client)
  const settled = changes.flatMap(settlement)
  const pending = (await pendingOrders(client)).filter(({ overdueMs }) => (overdueMs ?? 0) > OVERDUE_MS)
  const early = settled.filter(
    ({ change, deadline, rule }) => rule.deadline !== 'redis' && !(deadline !== undefined && change.at >= deadline),
  )
  const twice = [...repeated(settled), ...wrongEffects(settled, await readEffects(client))]
  const details = [
    ...pending.map(({ kind, count, overdueMs }) => `lost: ${count} of ${kind}, overdue for ${overdueMs} ms`),
    ...early.slice(0, 20).map(({ change }) => `early: ${JSON.stringify(change)}`),
    ...twice.slice(0, 20).map((text) => `twice: ${text}`),
  ]
  return {
    timers: new Set(changes.map(({ table, id }) => `${table} ${id}`)).size + wishes.filter(({ kind }) => kind === 'note').length,
    settled: settled.length,
    wishes: wishes.length,
    unknown: wishes.filter(({ answer }) => answer === 'unknown').length,
    faults: countBy(faults, ({ kind }) => kind),
    features: countBy(wishes, ({ feature }) => feature),
    lost: pending.reduce((sum, { count }) => sum + count, 0),
    early: early.length,
    twice: twice.length,
    latenessMs: quantiles(settled.flatMap(({ change, deadline }) => (deadline === undefined ? [] : [change.at - deadline]))),
    seed,
    details,
  }
}

function settlement(change: Change): Settled[] {
  const { table, by, from, to } = change
  if (!by.startsWith('worker') || !from) return []
  return RULES.filter((rule) => rule.table === table && applies(rule, from) && !applies(rule, to)).map((rule) => {
    const { deadline } = rule
    const of = deadline === 'redis' ? undefined : 'column' in deadline ? from[deadline.column] : Number(from[deadline.since]) + rule.afterMs
    return { rule, change, deadline: of as number | undefined }
  })
}

function applies(rule: RuleFacts, row: Change['to']): boolean {
  if (!row || row.deletedAt !== undefined) return false
  return rule.from
    ? rule.from.includes(String(row.status))
    : Object.entries({ ...rule.where }).every(([column, value]) => row[column] === value)
}

function repeated(settled: readonly Settled[]): string[] {
  const times = countBy(
    settled.filter(({ deadline }) => deadline !== undefined),
    ({ rule, change, deadline }) => `${rule.kind} ${change.id} for ${deadline}`,
  )
  return Object.keys(times).filter((name) => (times[name] as number) > 1)
}

function wrongEffects(settled: readonly Settled[], effects: readonly Effect[]): string[] {
  const done = countBy(
    settled.filter(({ rule }) => rule.run),
    ({ rule, change }) => `${rule.kind} ${change.id} in ${change.txid}`,
  )
  const had = countBy(effects, ({ kind, id, txid }) => `${kind} ${id} in ${txid}`)
  return [...new Set([...Object.keys(done), ...Object.keys(had)])].filter((name) => done[name] !== had[name])
}

function quantiles(values: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 10) / 10
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function countBy<T>(values: readonly T[], name: (value: T) => string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const value of values) counts[name(value)] = (counts[name(value)] ?? 0) + 1
  return counts
}
