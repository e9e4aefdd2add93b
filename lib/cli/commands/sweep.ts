// `order-timers sweep`. Orders that `staleAfter` holds back are shown, and settled only with --yes.

import { type StalePlan, stalePlan } from '../../admin/stale-plan.js'
import { sweepOnce } from '../../admin/sweep-once.js'
import { errorText } from '../../error-text.js'
import { type Command, type CommandInput, FAILED, JSON_OPTION, json, MODULE_OPTION, OK, UNAVAILABLE } from '../command.js'
import { staleText, sweepText } from '../sweep-text.js'
import { UsageError } from '../usage-error.js'

export const sweepCommand: Command = {
  usage: 'sweep [--stale [--yes]] [--kind KIND] [--json]',
  help: 'one pass over what is overdue; with --stale it shows what "staleAfter" holds back, and settles that too with --yes (exit status 1 where something failed, or --yes is missing)',
  example: 'order-timers sweep --stale --kind order_confirm --yes',
  options: { ...MODULE_OPTION, ...JSON_OPTION, stale: { type: 'boolean' }, yes: { type: 'boolean' }, kind: { type: 'string' } },
  positionals: [],
  check: ({ values }) => {
    if (values.yes && !values.stale)
      throw new UsageError('--yes is for --stale; without that, a sweep settles what is overdue and asks nothing')
  },
  async run(given) {
    const { runtime, values, print, remark } = given
    const kind = values.kind as string | undefined
    if (values.stale && !values.yes) return show(given, await stalePlan(runtime, kind))
    const result = await sweepOnce(runtime, {
      stale: values.stale === true,
      kind,
      onFailed: ({ kind, id, error }) => remark(`${kind} ${id}: failed: ${errorText(error)}`),
    })
    print(values.json ? json(result) : sweepText(result))
    if (result.unreachable) return UNAVAILABLE
    const failed = Object.values(result.kinds).some(({ failed, brakedSince }) => failed > 0 || brakedSince !== null)
    return failed || result.faults.length > 0 ? FAILED : OK
  },
}

function show({ values, print, remark }: CommandInput, plans: StalePlan[]): number {
  print(values.json ? json({ settles: false, rules: plans }) : staleText(plans))
  if (plans.some(({ unreachable }) => unreachable)) return UNAVAILABLE
  if (plans.every(({ stale = 0, problem }) => stale === 0 && problem === undefined)) return OK
  remark('nothing was settled; add --yes to settle what is shown')
  return FAILED
}
