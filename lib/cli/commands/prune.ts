// `order-timers prune`.

import { pruneAct } from '../../admin/actions/prune.js'
import { leftInRedis, pruneRedisAct } from '../../admin/actions/prune-redis.js'
import { type LeftKind, mayBeLost } from '../../admin/left-kinds.js'
import { actorOf, REASON_OPTION } from '../acting.js'
import { type Command, type CommandInput, FAILED, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { grouped, table } from '../table.js'
import { UsageError } from '../usage-error.js'

export const pruneCommand: Command = {
  usage: 'prune (--older-than DURATION | --redis [KIND…] [--drop-timers] [--yes]) [--reason TEXT] [--json]',
  help: 'removes old rows of the history and of the record of actions, at least a day old; keeps those that afterCommit and reminders still need. With --redis it shows what removed rules have left in Redis, and removes it with --yes; timers that no row may have only with --drop-timers (exit status 1 without --yes)',
  example: 'order-timers prune --older-than 365d',
  options: {
    ...{ ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION },
    'older-than': { type: 'string' },
    redis: { type: 'boolean' },
    'drop-timers': { type: 'boolean' },
    yes: { type: 'boolean' },
  },
  positionals: [],
  optional: Number.POSITIVE_INFINITY,
  check: ({ values }) => {
    if ((values['older-than'] === undefined) === !values.redis)
      throw new UsageError(
        'say from which age rows are removed, such as --older-than 365d, or --redis for what removed rules have left there',
      )
    if (!values.redis && (values.yes || values['drop-timers'])) throw new UsageError('--yes and --drop-timers are for --redis')
  },
  async run(given) {
    const { runtime, values, positionals, print } = given
    if (values.redis) return pruneRedis(given)
    if (positionals.length > 0) throw new UsageError(`${JSON.stringify(positionals[0])} is one argument too many; kinds are for --redis`)
    const { history, actions } = await pruneAct(runtime, values['older-than'], actorOf(given))
    const text = `removed ${grouped(history)} rows of the history and ${grouped(actions)} of the record of actions`
    print(values.json ? json({ history, actions }) : text)
    return OK
  },
}

async function pruneRedis(given: CommandInput): Promise<number> {
  const { runtime, values, positionals: kinds, print, remark } = given
  const removes = values.yes === true
  const left = removes
    ? await pruneRedisAct(runtime, { kinds, dropTimers: values['drop-timers'] === true }, actorOf(given))
    : await leftInRedis(runtime, kinds)
  const rules = left.map(({ names, ...one }) => ({ ...one, keys: names.length }))
  print(values.json ? json({ removes, rules }) : left.length === 0 ? 'nothing is left in Redis' : leftText(left, removes))
  if (removes || left.length === 0) return OK
  const drop = left.some(mayBeLost) ? ', and --drop-timers to lose the timers that no row may have' : ''
  remark(`nothing was removed; add --yes to remove what is shown${drop}`)
  return FAILED
}

function leftText(left: readonly LeftKind[], removed: boolean): string {
  const rows = left.map(({ kind, armed, claimed, dead, onRows, names }) => {
    return [kind, armed + claimed, dead, onRows ? 'yes' : 'not known', names.length]
  })
  return [removed ? 'removed:' : 'would remove:', ...table(['rule', 'timers', 'dead letters', 'on rows', 'keys'], rows)].join('\n')
}
