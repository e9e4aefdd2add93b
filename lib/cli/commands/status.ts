// `order-timers status`.

import { status } from '../../admin/status.js'
import { type Command, FAILED, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { statusText } from '../status-text.js'

export const statusCommand: Command = {
  usage: 'status [--json]',
  help: 'how the timers stand, and whether Postgres and Redis answer (exit status 1 where not)',
  example: 'order-timers status --json',
  options: { ...MODULE_OPTION, ...JSON_OPTION },
  positionals: [],
  async run({ runtime, values, print }) {
    const found = await status(runtime)
    print(values.json ? json(found) : statusText(found))
    return found.ok ? OK : FAILED
  },
}
