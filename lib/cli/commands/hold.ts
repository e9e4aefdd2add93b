// `order-timers hold`.

import { holdAct } from '../../admin/actions/hold.js'
import { actorOf, REASON_OPTION } from '../acting.js'
import { type Command, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { END_OPTIONS, endOf } from '../hold-options.js'
import { UsageError } from '../usage-error.js'

const AN_INSTANT = /^\d{4}-\d\d-\d\d/

export const holdCommand: Command = {
  usage: 'hold KIND --reason TEXT [--until TIME|DURATION (--shift | --no-shift | --grace DURATION)] [--json]',
  help: 'holds a rule: once it has returned, no order of it is settled until release (exit status 3 if a transaction still settles after 10 s; the hold stays)',
  example: 'order-timers hold order_pay --reason "the payment provider is down"',
  options: { ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION, ...END_OPTIONS, until: { type: 'string' } },
  positionals: ['KIND'],
  check: ({ values }) => {
    if (values.reason === undefined) throw new UsageError('say why: --reason "the payment provider is down"')
    endOf(values)
  },
  async run(given) {
    const { runtime, positionals, values, print } = given
    const [kind = ''] = positionals
    const { until } = values
    const at = typeof until === 'string' && AN_INSTANT.test(until) ? new Date(until) : until
    const options = { reason: values.reason as string, ...endOf(values), ...(at !== undefined && { until: at as never }) }
    const held = await holdAct(runtime, kind, options, actorOf(given))
    const end = held.until === null ? `order-timers release ${kind} lets it go on` : `a sweep releases it at ${held.until.toISOString()}`
    print(values.json ? json(held) : `${kind}: held since ${held.since.toISOString()}, and nothing of it is being settled; ${end}`)
    return OK
  },
}
