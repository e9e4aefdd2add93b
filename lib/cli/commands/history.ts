// `order-timers history`.

import { historyPages } from '../../admin/rule-history.js'
import { parseDuration } from '../../duration.js'
import { VIA_RUN } from '../../rows/history.js'
import type { HistoryEntry } from '../../rows/history-reads.js'
import { type Command, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { oneLine } from '../one-line.js'
import { historyTable } from '../order-text.js'
import { grouped, table } from '../table.js'
import { UsageError } from '../usage-error.js'

/** How many of the newest are shown one by one. */
const SHOWN = 20

export const historyCommand: Command = {
  usage: 'history KIND [--since DURATION] [--ids] [--json]',
  help: 'what a rule did, by default in the last hour: how many orders, from which status to which, by which path and process, and the newest; with --ids only the ids, one a line, to undo what a wrong rule did',
  example: 'order-timers history order_confirm --since 2h --ids > undo.txt',
  options: { ...MODULE_OPTION, ...JSON_OPTION, since: { type: 'string' }, ids: { type: 'boolean' } },
  positionals: ['KIND'],
  check: ({ values }) => void sinceOf(values.since),
  async run({ runtime, positionals, values, print, remark }) {
    const [kind = ''] = positionals
    const sinceMs = sinceOf(values.since)
    const found: HistoryEntry[] = []
    const startedAt = performance.now()
    let read = 0
    for await (const page of historyPages(runtime, kind, sinceMs)) {
      const settled = page.filter(({ reminder }) => reminder === '')
      if (values.ids && !values.json && settled.length > 0) print(settled.map(({ id }) => oneLine(id)).join('\n'))
      else found.push(...page)
      read += page.length
      if (performance.now() - startedAt > 2_000) remark(`${grouped(read)} read …`)
    }
    const settlements = found.filter(({ reminder }) => reminder === '')
    if (values.json)
      print(json(values.ids ? { kind, ids: settlements.map(({ id }) => id) } : { kind, settled: settlements.length, entries: found }))
    else if (!values.ids) print(historyText(kind, found, settlements))
    return OK
  },
}

function historyText(kind: string, found: readonly HistoryEntry[], settled: readonly HistoryEntry[]): string {
  if (found.length === 0) return `${kind}: nothing was settled in that time`
  const groups = new Map<string, { what: string; via: string; worker: string; count: number; last: Date }>()
  for (const { from, to, reminder, via, worker, settledAt } of found) {
    const told = via === VIA_RUN ? `moved by ${reminder}` : `reminded, ${reminder} before`
    const what = reminder === '' ? `${from ?? '-'} → ${to ?? '-'}` : told
    const group = groups.get(`${what} ${via} ${worker}`) ?? { what, via, worker, count: 0, last: settledAt }
    group.count += 1
    groups.set(`${what} ${via} ${worker}`, group)
  }
  const rows = [...groups.values()].map(({ what, via, worker, count, last }) => [what, count, via, worker, last.toISOString()])
  const newest = found.length > SHOWN ? `the newest ${SHOWN} of ${grouped(found.length)}` : 'one by one, the newest first'
  return [
    `${kind}: ${grouped(settled.length)} settled`,
    ...table(['what', 'orders', 'via', 'worker', 'last'], rows),
    '',
    newest,
    ...historyTable(found.slice(0, SHOWN)),
  ].join('\n')
}

function sinceOf(given: unknown): number {
  if (given === undefined) return 3_600_000
  try {
    return parseDuration('--since', given)
  } catch {
    throw new UsageError(`--since must be a duration such as 30m, 1h or 2d, got ${JSON.stringify(given)}`)
  }
}
