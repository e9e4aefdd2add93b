// `order-timers rearm`.

import { type Rearmed, rearmAct } from '../../admin/actions/rearm.js'
import { parseDuration } from '../../duration.js'
import { REASON_OPTION, recordedIfPossible } from '../acting.js'
import { type Command, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { grouped, table } from '../table.js'
import { UsageError } from '../usage-error.js'

/** How often the progress is printed. */
const PROGRESS_MS = 2_000

export const rearmCommand: Command = {
  usage: 'rearm [KIND] [--within DURATION] [--reason TEXT] [--json]',
  help: 'arms the timers on the rows that are missing in Redis, or later there; settles nothing, and is safe beside workers',
  example: 'order-timers rearm order_confirm --within 1d',
  options: { ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION, within: { type: 'string' } },
  positionals: [],
  optional: 1,
  check: ({ values }) => void withinOf(values.within),
  async run(given) {
    const { runtime, positionals, values, print, remark } = given
    const withinMs = withinOf(values.within)
    let saidAt = performance.now()
    const onProgress = ({ kind, read, armed }: Rearmed['rules'][number]) => {
      if (performance.now() - saidAt < PROGRESS_MS) return
      saidAt = performance.now()
      remark(`${kind}: ${grouped(read)} read, ${grouped(armed)} armed …`)
    }
    const rearmed = await recordedIfPossible(given, (actor) => rearmAct(runtime, { kind: positionals[0], withinMs, onProgress }, actor))
    print(values.json ? json(rearmed) : rearmText(rearmed))
    return OK
  },
}

function rearmText({ rules }: Rearmed): string {
  if (rules.length === 0) return 'no rule has its deadlines on the rows'
  return table(
    ['rule', 'to come', 'armed now'],
    rules.map(({ kind, read, armed }) => [kind, read, armed]),
  ).join('\n')
}

function withinOf(given: unknown): number | undefined {
  if (given === undefined) return undefined
  try {
    return parseDuration('--within', given)
  } catch {
    throw new UsageError(`--within must be a duration such as 30m, 1h or 2d, got ${JSON.stringify(given)}`)
  }
}
