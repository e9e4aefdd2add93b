// `order-timers discard` and `order-timers settle`.

import { act } from '../../admin/actions/act.js'
import { dropDead, listDead } from '../../admin/dead-letters.js'
import { actorOf, REASON_OPTION } from '../acting.js'
import { actedText } from '../acts-text.js'
import { type Command, FAILED, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { deadText, discardText } from '../dead-text.js'

export const discardCommand: Command = {
  usage: 'discard KIND [ID…] [--yes] [--reason TEXT] [--json]',
  help: 'drops dead letters for good, with their deadlines; without ids it lists them, and drops all with --yes (exit status 1 if one could not be dropped, or --yes is missing)',
  example: 'order-timers discard order_confirm 34 35 --reason "refunded by hand"',
  options: { ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION, yes: { type: 'boolean' } },
  positionals: ['KIND'],
  optional: Number.POSITIVE_INFINITY,
  async run(given) {
    const { runtime, positionals, values, print, remark } = given
    const [kind = '', ...ids] = positionals
    if (ids.length === 0 && !values.yes) {
      const letters = await listDead(runtime, kind)
      const would = { kind, discarded: [], kept: [], wouldDiscard: letters.map(({ id }) => id) }
      print(
        values.json
          ? json(would)
          : letters.length === 0
            ? `${kind}: there are no dead letters`
            : `${kind}: would drop\n${deadText(letters)}`,
      )
      if (letters.length === 0) return OK
      remark(`nothing was dropped; add --yes to drop all ${letters.length}, or name the orders: order-timers discard ${kind} ID…`)
      return FAILED
    }
    const { retried: discarded, notDead: kept } = await dropDead(runtime, kind, ids.length === 0 ? undefined : ids, actorOf(given))
    print(values.json ? json({ kind, discarded, kept }) : discardText(kind, discarded, kept))
    return kept.length > 0 ? FAILED : OK
  },
}

export const settleCommand: Command = {
  usage: 'settle KIND ID… [--unverified] [--reason TEXT] [--json]',
  help: 'makes orders due now, 200 at most, so that a worker settles them at once; settles nothing itself. With --unverified, which needs --reason, also without the answer that "verify" waits for (exit status 1 if one could not be made due)',
  example: 'order-timers settle order_confirm 34 --reason "the customer has asked"',
  options: { ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION, unverified: { type: 'boolean' } },
  positionals: ['KIND', 'ID'],
  optional: Number.POSITIVE_INFINITY,
  async run(given) {
    const { runtime, positionals, values, print } = given
    const [kind = '', ...ids] = positionals
    const unverified = values.unverified === true
    const acted = await act(runtime, { action: 'settle', kind, orders: ids.map((id) => ({ id })), unverified }, actorOf(given))
    print(values.json ? json(acted) : actedText(acted))
    return acted.count < acted.orders.length ? FAILED : OK
  },
}
