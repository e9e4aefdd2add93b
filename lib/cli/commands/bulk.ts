// `order-timers extend`, `schedule` and `cancel`: for given orders, or for many orders as a run.

import { act } from '../../admin/actions/act.js'
import type { ScheduleAllOptions } from '../../bulk.js'
import type { RunAction } from '../../rows/runs-table.js'
import { bulk } from '../../timers/bulk/calls.js'
import { codedErrors } from '../../timers/coded-errors.js'
import { actorOf, REASON_OPTION } from '../acting.js'
import { actedText } from '../acts-text.js'
import { DOES, planOfRunText, resultText } from '../bulk-text.js'
import { type Command, type CommandInput, FAILED, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { followed } from '../followed.js'
import { UsageError } from '../usage-error.js'

const OPTIONS = {
  ...{ ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION },
  where: { type: 'string', multiple: true },
  all: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  yes: { type: 'boolean' },
} as const

const WHICH = '[--where NAME=VALUE]… [--all] [--dry-run] [--yes] [--reason TEXT] [--json]'

export const extendCommand: Command = {
  usage: `extend KIND [ID…] --by DURATION ${WHICH}`,
  help: 'moves deadlines of the named orders, or with --where or --all of many, as a run that holds the rule until it ends; shows what it would do, and does it with --yes (exit status 1 without --yes)',
  example: 'order-timers extend order_confirm --where country=TW --by 3d --dry-run',
  options: { ...OPTIONS, by: { type: 'string' } },
  positionals: ['KIND'],
  optional: Number.POSITIVE_INFINITY,
  run: (given) => one(given, 'extendAll', 'extend') ?? many(given, 'extendAll', { by: given.values.by }),
}

export const scheduleCommand: Command = {
  usage: `schedule KIND [--after DURATION | --at INSTANT] [--overwrite] ${WHICH}`,
  help: 'gives many orders a deadline: those that have none, and with --overwrite also the others; works as extend does',
  example: 'order-timers schedule order_confirm --where country=TW --after 3d --dry-run',
  options: { ...OPTIONS, after: { type: 'string' }, at: { type: 'string' }, overwrite: { type: 'boolean' } },
  positionals: ['KIND'],
  run({ values, ...given }) {
    const { after, at, overwrite } = values
    const instant = at === undefined ? undefined : new Date(String(at))
    if (instant && Number.isNaN(instant.getTime()))
      throw new UsageError(`--at must be an instant such as 2027-01-31T12:00:00+08:00, got ${JSON.stringify(at)}`)
    return many({ ...given, values }, 'scheduleAll', { after, at: instant, overwrite } as ScheduleAllOptions)
  },
}

export const cancelCommand: Command = {
  usage: `cancel KIND [ID…] ${WHICH}`,
  help: 'removes timers of the named orders, or with --where or --all of many; works as extend does',
  example: 'order-timers cancel order_confirm --where country=TW --dry-run',
  options: OPTIONS,
  positionals: ['KIND'],
  optional: Number.POSITIVE_INFINITY,
  run: (given) => one(given, 'cancelAll', 'cancel') ?? many(given, 'cancelAll', {}),
}

/** For given orders. @returns undefined if none is given */
function one(given: CommandInput, all: RunAction, action: 'extend' | 'cancel'): Promise<number> | undefined {
  const { runtime, positionals, values, print } = given
  const [kind = '', ...ids] = positionals
  if (ids.length === 0) return undefined
  const surplus = (['where', 'all', 'dry-run', 'yes'] as const).find((name) => values[name] !== undefined)
  if (surplus) throw new UsageError(`--${surplus} is for many orders (${all}); name orders or give that, not both`)
  const request = { action, kind, orders: ids.map((id) => ({ id })), by: values.by }
  return act(runtime, request, actorOf(given)).then((acted) => {
    print(values.json ? json(acted) : actedText(acted))
    return acted.count < acted.orders.length ? FAILED : OK
  })
}

async function many(given: CommandInput, action: RunAction, options: object): Promise<number> {
  const { runtime, positionals, values, print, remark } = given
  const [kind = ''] = positionals
  const { reason, all, 'dry-run': dryRun, yes } = values
  if (dryRun && yes) throw new UsageError('--dry-run changes nothing, and --yes does; give one of them')
  const where = values.where === undefined ? undefined : whereOf(values.where as string[])
  const asked = Object.fromEntries(Object.entries({ ...options, where, all, reason }).filter(([, value]) => value !== undefined))
  const actor = actorOf(given)
  const where_ = runtime.redis?.source.describe() ?? ''
  const run = (more: object) =>
    codedErrors(where_, () => bulk(runtime, kind, action, { ...asked, ...more }, { user: actor.user, via: 'command' }))
  if (!yes) {
    const { plan } = await run({ dryRun: true })
    print(values.json ? json({ kind, action, run: null, moved: 0, plan }) : plan ? planOfRunText(kind, action, plan) : '')
    if (dryRun || plan?.count === 0) return OK
    remark(`nothing was changed; add --yes to ${DOES[action]} them`)
    return FAILED
  }
  const result = await followed(given, run)
  print(values.json ? json(result) : resultText(result))
  return OK
}

/** `country=TW`; the same attribute more than once is a list. */
function whereOf(given: readonly string[]): Record<string, string | string[]> {
  const where = new Map<string, string[]>()
  for (const text of given) {
    const at = text.indexOf('=')
    if (at < 1) throw new UsageError(`--where must be NAME=VALUE, such as country=TW, got ${JSON.stringify(text)}`)
    const name = text.slice(0, at)
    where.set(name, [...(where.get(name) ?? []), text.slice(at + 1)])
  }
  return Object.fromEntries([...where].map(([name, values]) => [name, values.length === 1 ? (values[0] as string) : values]))
}
