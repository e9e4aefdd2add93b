// `order-timers status`.

import { status } from '../../admin/status.js'
import { type Command, FAILED, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { statusText } from '../status-text.js'

/** Longer than the interval between a worker's heartbeats. */
const CONFIRM_MS = 2_200

export const statusCommand: Command = {
  usage: 'status [--json]',
  help: 'whether the timers run and are on time, and what is stuck: the worst first, with what to do (exit status 1 if somebody must act now)',
  example: 'order-timers status --json',
  options: { ...MODULE_OPTION, ...JSON_OPTION },
  positionals: [],
  async run({ runtime, values, print }) {
    const found = await status(runtime, { confirmMs: CONFIRM_MS })
    print(values.json ? json(found) : statusText(found))
    return found.ok ? OK : FAILED
  },
}
