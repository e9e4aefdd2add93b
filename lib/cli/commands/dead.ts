// `order-timers dead` and `order-timers retry`.

import { listDead, retryDead } from '../../admin/dead-letters.js'
import type { DeadLetter } from '../../types.js'
import { REASON_OPTION, recordedIfPossible } from '../acting.js'
import { type Command, FAILED, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { deadText, retryText } from '../dead-text.js'

export const deadCommand: Command = {
  usage: 'dead [KIND] [--json]',
  help: 'lists dead letters, the orders on which a rule has used all its attempts: rule, order, attempts, when, and the error',
  example: 'order-timers dead order_confirm',
  options: { ...MODULE_OPTION, ...JSON_OPTION },
  positionals: [],
  optional: 1,
  async run({ runtime, positionals, values, print }) {
    const letters = await listDead(runtime, positionals[0])
    print(values.json ? json({ dead: letters }) : deadText(letters))
    return OK
  },
}

export const retryCommand: Command = {
  usage: 'retry KIND [ID…] [--yes] [--reason TEXT] [--json]',
  help: 'puts dead letters back, due now and with all their attempts; without ids it lists them, and puts all back with --yes (exit status 1 if one is no dead letter, or --yes is missing)',
  example: 'order-timers retry order_confirm 34 35',
  options: { ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION, yes: { type: 'boolean' } },
  positionals: ['KIND'],
  optional: Number.POSITIVE_INFINITY,
  async run(given) {
    const { runtime, positionals, values, print, remark } = given
    const [kind = '', ...ids] = positionals
    if (ids.length === 0 && !values.yes) {
      const letters = await listDead(runtime, kind)
      print(values.json ? json({ kind, retried: [], notDead: [], wouldRetry: letters.map(({ id }) => id) }) : wouldRetry(kind, letters))
      if (letters.length === 0) return OK
      remark(`nothing was put back; add --yes to put all ${letters.length} back, or name the orders: order-timers retry ${kind} ID…`)
      return FAILED
    }
    const wanted = ids.length === 0 ? undefined : ids
    const result = await recordedIfPossible(given, (actor) => retryDead(runtime, kind, wanted, actor))
    print(values.json ? json(result) : retryText(result))
    return result.notDead.length > 0 ? FAILED : OK
  },
}

function wouldRetry(kind: string, letters: readonly DeadLetter[]): string {
  return letters.length === 0 ? `${kind}: there are no dead letters` : `${kind}: would put back\n${deadText(letters)}`
}
