// `order-timers prune`.

import { pruneAct } from '../../admin/actions/prune.js'
import { actorOf, REASON_OPTION } from '../acting.js'
import { type Command, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { grouped } from '../table.js'
import { UsageError } from '../usage-error.js'

export const pruneCommand: Command = {
  usage: 'prune --older-than DURATION [--reason TEXT] [--json]',
  help: 'removes old rows of the history and of the record of actions, at least a day old; keeps those that afterCommit and reminders still need',
  example: 'order-timers prune --older-than 365d',
  options: { ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION, 'older-than': { type: 'string' } },
  positionals: [],
  check: ({ values }) => {
    if (values['older-than'] === undefined) throw new UsageError('say from which age rows are removed, such as --older-than 365d')
  },
  async run(given) {
    const { history, actions } = await pruneAct(given.runtime, given.values['older-than'], actorOf(given))
    const text = `removed ${grouped(history)} rows of the history and ${grouped(actions)} of the record of actions`
    given.print(given.values.json ? json({ history, actions }) : text)
    return OK
  },
}
