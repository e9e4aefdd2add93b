// The output of the commands that change the deadlines of many orders: the plan, the progress of a run, and its result.

import type { BulkPlan, BulkProgress, BulkResult } from '../bulk.js'
import type { Run } from '../rows/runs-table.js'
import { grouped, table } from './table.js'

export const DOES = { extendAll: 'extend', scheduleAll: 'schedule', cancelAll: 'cancel' } as const

export function planOfRunText(kind: string, action: BulkResult['action'], { count, samples, deadTuples, walBytes }: BulkPlan): string {
  if (count === 0) return `${kind}: there are no such orders`
  const at = (date: Date | null) => date?.toISOString() ?? 'no timer'
  const shown = samples.map(({ id, before, after }) => [id, at(before), at(after)])
  return [
    `${kind}: would ${DOES[action]} ${grouped(count)} orders`,
    ...table(['order', 'due now', 'due then'], shown),
    ...(count > samples.length ? [`and ${grouped(count - samples.length)} more`] : []),
    `Postgres writes about ${megabytes(walBytes)} to its log, and VACUUM has ${grouped(deadTuples)} row versions to remove`,
  ].join('\n')
}

export function progressText({ kind, moved, planned, skipped }: BulkProgress): string {
  return `${kind}: ${grouped(moved)} of ${grouped(planned)} moved${skipped > 0 ? `, ${grouped(skipped)} rows are locked` : ''} …`
}

export function resultText({ kind, run, moved, plan }: BulkResult): string {
  if (run === null && plan === undefined) return `${kind}: released; nothing is recorded of the run that held it`
  return run === null ? `${kind}: there are no such orders` : `${kind}: ${grouped(moved)} orders moved, by run ${run}`
}

export function runsText(runs: readonly Run[]): string {
  if (runs.length === 0) return 'every run has ended'
  const rows = runs.map(({ id, kind, action, startedAt, moved, planned, skipped, silentMs, process }) => [
    ...[id, kind, action, new Date(startedAt).toISOString(), moved, planned, skipped],
    ...[`${Math.round(silentMs / 1_000)} s ago`, process],
  ])
  return table(['run', 'rule', 'what', 'since', 'moved', 'of', 'locked', 'last seen', 'by'], rows).join('\n')
}

function megabytes(bytes: number): string {
  return bytes < 1_000_000 ? 'a megabyte or less' : `${grouped(Math.round(bytes / 1_000_000))} MB`
}
