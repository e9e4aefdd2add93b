// `order-timers show`.

import { viewOrder } from '../../admin/order-view.js'
import { type Command, FAILED, JSON_OPTION, json, MODULE_OPTION, OK, UNAVAILABLE } from '../command.js'
import { orderText } from '../order-text.js'

export const showCommand: Command = {
  usage: 'show ID [--kind KIND] [--json]',
  help: 'one order: what will happen next and when, the command that helps, its row, its timer in Redis, who has it locked, its attempts and its history (exit status 1 if there is no such order)',
  example: 'order-timers show 34',
  options: { ...MODULE_OPTION, ...JSON_OPTION, kind: { type: 'string' } },
  positionals: ['ID'],
  async run({ runtime, positionals, values, print }) {
    const [id = ''] = positionals
    const view = await viewOrder(runtime, id, values.kind as string | undefined)
    print(values.json ? json(view) : orderText(view))
    if (view.rules.every(({ problem, row }) => problem !== undefined && !row)) return UNAVAILABLE
    const isThere = view.rules.some(({ row, redis }) => row || redis?.armed || redis?.failure || redis?.claimedBy)
    return isThere ? OK : FAILED
  },
}
