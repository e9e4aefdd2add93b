// The comparison at the end: every order in Postgres against the ledger, which the code under test can't write, and the shop's history
// of what was acknowledged. Lost, early and twice must be 0.

import type { Client } from 'pg'
import { type Change, Ledger } from '../test/support/ledger.js'
import { countAcknowledged, type Entry, expectations } from './entries.js'
import type { DoneFault } from './nemesis.js'
import { PAY_WITHIN_MS } from './rules.js'

export interface Verdict {
  timers: number
  settled: number
  cancelled: number
  extended: number
  faults: Record<string, number>
  lost: number
  early: number
  twice: number
  latenessMs: { p50: number; p99: number; max: number }
  recoveryMs: { p50: number; max: number }
  seed: number
}

/** Orders whose deadline was this long ago must have been settled: asked once nothing is pending any more. */
const OVERDUE_MS = 1000
const PAY_DEADLINE = `("createdAt" + interval '${PAY_WITHIN_MS} ms')`
/** A fault that strikes at once meets what was due a moment before. */
const BEFORE_MS = 250

export async function judge(
  client: Client,
  history: readonly Entry[],
  faults: readonly DoneFault[],
  seed: number,
): Promise<Verdict & { details: string[] }> {
  const ledger = Ledger.on(client)
  const settled = (await ledger.changes()).filter((change) => change.by.startsWith('worker'))
  const againstHistory = compare(settled, history)

  const lost = [...(await ledger.lost(1, OVERDUE_MS, PAY_DEADLINE)), ...(await ledger.lost(4, OVERDUE_MS))].map(({ id }) => id)
  const early = (await ledger.early()).map(({ id }) => id)
  const twice = [...(await ledger.twice()).map(({ id }) => id), ...(await wrongEffects(client))]
  const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM orders')
  const all = { lost: union(lost, againstHistory.lost), early: union(early, againstHistory.early), twice: union(twice, []) }

  return {
    timers: (rows[0]?.count ?? 0) + countAcknowledged(history, 'schedule'),
    settled: settled.length,
    cancelled: countAcknowledged(history, 'cancel'),
    extended: countAcknowledged(history, 'extend'),
    faults: countKinds(faults),
    lost: all.lost.length,
    early: all.early.length,
    twice: all.twice.length,
    latenessMs: quantiles(await ledger.lateness()),
    recoveryMs: recovery(settled, faults),
    seed,
    details: Object.entries(all).flatMap(([promise, ids]) => (ids.length > 0 ? [`${promise}: orders ${ids.slice(0, 20).join(', ')}`] : [])),
  }
}

/** What was acknowledged: a deadline must have been kept, and no order moved whose timer was taken away. */
function compare(settled: readonly Change[], history: readonly Entry[]): { lost: string[]; early: string[] } {
  const deadlines = new Map<string, number[]>()
  for (const { id, from, deadline } of settled) {
    if (from === 4) deadlines.set(id, [...(deadlines.get(id) ?? []), deadline?.getTime() ?? 0])
  }
  const found = { lost: [] as string[], early: [] as string[] }
  for (const [id, expected] of expectations(history)) {
    const met = deadlines.get(String(id)) ?? []
    if (expected === 'none' && met.length > 0) found.early.push(String(id))
    if (typeof expected === 'object' && !met.includes(expected.deadline)) found.lost.push(String(id))
  }
  return found
}

/** Orders with more or fewer effects than confirmations by a worker. */
async function wrongEffects(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(`
    SELECT coalesce(done.id, effect.id) AS id
      FROM (SELECT order_id AS id, count(*) FROM ledger WHERE from_status = 4 AND changed_by LIKE 'worker%' GROUP BY 1) AS done
      FULL JOIN (SELECT order_id::text AS id, count(*) FROM effects GROUP BY 1) AS effect ON effect.id = done.id
     WHERE done.count IS DISTINCT FROM effect.count`)
  return rows.map(({ id }) => id)
}

/** From a fault's end until the last order was settled that came due while it lasted. */
function recovery(settled: readonly Change[], faults: readonly DoneFault[]): { p50: number; max: number } {
  const times = faults.map(({ beganAt, endedAt }) => {
    const met = settled.filter(
      ({ deadline }) => deadline !== null && deadline.getTime() >= beganAt - BEFORE_MS && deadline.getTime() <= endedAt,
    )
    return Math.max(0, ...met.map(({ at }) => at.getTime() - endedAt))
  })
  const { p50, max } = quantiles(times)
  return { p50, max }
}

function quantiles(values: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 10) / 10
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function countKinds(faults: readonly DoneFault[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { kind } of faults) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

function union(one: readonly string[], other: readonly string[]): string[] {
  return [...new Set([...one, ...other])]
}
