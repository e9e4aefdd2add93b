// `order-timers sweep`. Orders that `staleAfter` holds back are shown, and settled only with --yes.

import type { Actor } from '../../admin/actions/request.js'
import { staleSweepAct } from '../../admin/actions/sweep.js'
import { type StalePlan, stalePlan } from '../../admin/stale-plan.js'
import { type SweepOptions, type SweepResult, sweepOnce } from '../../admin/sweep-once.js'
import { errorText } from '../../error-text.js'
import { REASON_OPTION, recordedIfPossible } from '../acting.js'
import { type Command, type CommandInput, FAILED, JSON_OPTION, json, MODULE_OPTION, OK, UNAVAILABLE } from '../command.js'
import { staleText, sweepText } from '../sweep-text.js'
import { UsageError } from '../usage-error.js'

export const sweepCommand: Command = {
  usage: 'sweep [--stale [--yes] [--reason TEXT]] [--kind KIND] [--json]',
  help: 'one pass over what is overdue; with --stale it shows what "staleAfter" holds back, and settles that too with --yes (exit status 1 if something failed, or --yes is missing)',
  example: 'order-timers sweep --stale --kind order_confirm --yes',
  options: {
    ...MODULE_OPTION,
    ...JSON_OPTION,
    ...REASON_OPTION,
    stale: { type: 'boolean' },
    yes: { type: 'boolean' },
    kind: { type: 'string' },
  },
  positionals: [],
  check: ({ values }) => {
    if (values.yes && !values.stale)
      throw new UsageError('--yes is for --stale; without that, a sweep settles what is overdue and asks nothing')
  },
  async run(given) {
    const { runtime, values, print, remark } = given
    const kind = values.kind as string | undefined
    if (values.stale && !values.yes) return show(given, await stalePlan(runtime, kind))
    const options: SweepOptions = { kind, onFailed: ({ kind, id, error }) => remark(`${kind} ${id}: failed: ${errorText(error)}`) }
    const settleStale = (actor: Actor | undefined) =>
      actor ? staleSweepAct(runtime, options, actor) : sweepOnce(runtime, { ...options, stale: true })
    const result = values.stale ? await recordedIfPossible(given, settleStale) : await sweepOnce(runtime, options)
    print(values.json ? json(result) : sweepText(result))
    if (result.unreachable) return UNAVAILABLE
    const failed = Object.values(result.kinds).some(isUnfinished)
    return failed || result.faults.length > 0 ? FAILED : OK
  },
}

/** Also where nothing was read, and orders are left. */
function isUnfinished({ failed, brakedSince, wasRead, left = 0 }: SweepResult['kinds'][string]): boolean {
  return failed > 0 || brakedSince !== null || (!wasRead && left > 0)
}

function show({ values, print, remark }: CommandInput, plans: StalePlan[]): number {
  print(values.json ? json({ settles: false, rules: plans }) : staleText(plans))
  if (plans.some(({ unreachable }) => unreachable)) return UNAVAILABLE
  if (plans.every(({ stale = 0, problem }) => stale === 0 && problem === undefined)) return OK
  remark('nothing was settled; add --yes to settle what is shown')
  return FAILED
}
