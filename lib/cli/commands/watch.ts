// `order-timers watch`.

import { ageText } from '../../admin/age-text.js'
import { type Watched, watch } from '../../admin/watch.js'
import { parseDuration } from '../../duration.js'
import { reminderKind } from '../../rules/reminder.js'
import { afterRunning } from '../../wait.js'
import { type Command, JSON_OPTION, MODULE_OPTION, OK } from '../command.js'
import { oneLine } from '../one-line.js'
import { PASSED_ON_MS, signalled } from '../signalled.js'
import { grouped } from '../table.js'
import { UsageError } from '../usage-error.js'

/** How many ids are shown of a batch. */
const SHOWN = 8

export const watchCommand: Command = {
  usage: 'watch [KIND] [--for DURATION] [--json]',
  help: 'shows what happens as it happens, until Ctrl-C: timers armed, expiry events, orders settled with how late, attempts that failed; with --json a line of JSON for each batch',
  example: 'order-timers watch order_confirm',
  options: { ...MODULE_OPTION, ...JSON_OPTION, for: { type: 'string' } },
  positionals: [],
  optional: 1,
  check: ({ values }) => void durationOf(values.for),
  async run({ runtime, positionals, values, print, remark }) {
    const [kind] = positionals
    if (kind !== undefined) runtime.rule(kind)
    const forMs = durationOf(values.for)
    const isMeant = (note: Watched) => kind === undefined || note.kind === kind || note.kind.startsWith(reminderKind(kind, ''))
    const ended = signalled(PASSED_ON_MS)
    const end = await watch(runtime, {
      onNote: (note) => isMeant(note) && print(values.json ? JSON.stringify(note) : noteText(note)),
      onLost: (count, process) => remark(`${oneLine(process)}: ${grouped(count)} batches more, which are not shown`),
      onTrouble: (message) => remark(`${message}; what happens meanwhile is not shown`),
    })
    remark('watching: processes start to report within 2 s; Ctrl-C ends it')
    const limit = forMs === undefined ? [] : [new Promise<void>((resolve) => void afterRunning(forMs, resolve))]
    await Promise.race([ended, ...limit])
    await end()
    return OK
  },
}

function noteText({ at, what, kind, via, count, orders }: Watched): string {
  const time = at.toISOString().slice(11, 23)
  const ids = orders.slice(0, SHOWN).map(({ id }) => oneLine(id))
  const more = count > ids.length ? `, and ${grouped(count - ids.length)} more` : ''
  const details = [what === 'settled' ? `by ${oneLine(via ?? '-')}${lateText(orders)}` : '', what === 'armed' ? dueText(orders, at) : '']
  return `${time} ${oneLine(kind)} ${what} ${grouped(count)}: ${ids.join(', ')}${more}${details.filter(Boolean).map((text) => ` (${text})`)}`
}

function lateText(orders: Watched['orders']): string {
  const late = orders.flatMap(({ ms }) => (typeof ms === 'number' ? [ms] : [])).sort((one, other) => one - other)
  const [median, most] = [late[Math.floor(late.length / 2)], late.at(-1)]
  if (median === undefined || most === undefined) return ''
  return late.length === 1 ? `, ${msText(most)} late` : `, ${msText(median)} late (median), ${msText(most)} (most)`
}

function msText(ms: number): string {
  return ms < 1_000 ? `${ms.toFixed(1)} ms` : ageText(ms)
}

function dueText(orders: Watched['orders'], at: Date): string {
  const deadlines = orders.flatMap(({ ms }) => (typeof ms === 'number' ? [ms] : []))
  if (deadlines.length === 0) return ''
  const [first, last] = [Math.min(...deadlines) - at.getTime(), Math.max(...deadlines) - at.getTime()]
  const inText = (ms: number) => (ms <= 0 ? 'now' : `in ${ageText(ms)}`)
  return inText(first) === inText(last) ? `due ${inText(first)}` : `due ${inText(first)} to ${inText(last)}`
}

function durationOf(given: unknown): number | undefined {
  if (given === undefined) return undefined
  try {
    return parseDuration('--for', given)
  } catch {
    throw new UsageError(`--for must be a duration such as 30s, 5m or 1h, got ${JSON.stringify(given)}`)
  }
}
