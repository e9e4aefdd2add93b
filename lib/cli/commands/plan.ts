// `order-timers plan`.

import { plan } from '../../admin/plan.js'
import { type Command, FAILED, JSON_OPTION, json, MODULE_OPTION, OK, UNAVAILABLE } from '../command.js'
import { planText } from '../plan-text.js'
import { UsageError } from '../usage-error.js'

export const planCommand: Command = {
  usage: 'plan [--json] [--days N]',
  help: 'what each rule would settle at once, what it holds back, and what comes due by the hour; changes nothing',
  example: 'order-timers plan --days 7',
  options: { ...MODULE_OPTION, ...JSON_OPTION, days: { type: 'string' } },
  positionals: [],
  check: ({ values }) => void daysOf(values.days),
  async run({ runtime, values, print }) {
    const days = daysOf(values.days)
    const plans = await plan(runtime, { days })
    print(values.json ? json({ days, rules: plans }) : planText(plans, days))
    if (plans.some(({ unreachable }) => unreachable)) return UNAVAILABLE
    return plans.some(({ problem }) => problem !== undefined) ? FAILED : OK
  },
}

function daysOf(given: unknown): number {
  if (given === undefined) return 3
  const days = Number(given)
  if (/^\d+$/.test(String(given)) && days >= 1 && days <= 366) return days
  throw new UsageError(`--days must be a whole number from 1 to 366, got ${JSON.stringify(given)}`)
}
