// `order-timers plan`.

import { plan } from '../../admin/plan.js'
import { COULD_NOT_LOOK, type Command, FINE, JSON_TOO, json, MODULE, WRONG } from '../command.js'
import { planText } from '../plan-text.js'
import { UsageError } from '../usage-error.js'

export const planCommand: Command = {
  usage: 'plan [--json] [--days N]',
  help: 'what each rule would settle at once, what it holds back, and what comes due by the hour; changes nothing',
  example: 'order-timers plan --days 7',
  options: { ...MODULE, ...JSON_TOO, days: { type: 'string' } },
  positionals: [],
  check: ({ values }) => void daysOf(values.days),
  async run({ runtime, values, print }) {
    const days = daysOf(values.days)
    const plans = await plan(runtime, { days })
    print(values.json ? json({ days, rules: plans }) : planText(plans, days))
    if (plans.some(({ unreachable }) => unreachable)) return COULD_NOT_LOOK
    return plans.some(({ problem }) => problem !== undefined) ? WRONG : FINE
  },
}

function daysOf(given: unknown): number {
  if (given === undefined) return 3
  const days = Number(given)
  if (/^\d+$/.test(String(given)) && days >= 1 && days <= 366) return days
  throw new UsageError(`--days must be a whole number from 1 to 366, got ${JSON.stringify(given)}`)
}
