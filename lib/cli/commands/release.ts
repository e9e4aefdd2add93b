// `order-timers release`.

import { releaseBrake } from '../../admin/release.js'
import { type Command, FINE, JSON_TOO, json, MODULE } from '../command.js'

export const releaseCommand: Command = {
  usage: 'release KIND [--json]',
  help: 'lets a rule go on that its brake has stopped; workers that run settle at once what was held',
  example: 'order-timers release order_confirm',
  options: { ...MODULE, ...JSON_TOO },
  positionals: ['KIND'],
  async run({ runtime, positionals, values, print }) {
    const [kind = ''] = positionals
    const released = await releaseBrake(runtime, kind)
    const { wasStopped, workersAsked, next } = released
    if (values.json) print(json({ kind, wasStopped, workersAsked, next }))
    else print(`${kind}: ${wasStopped ? 'released' : 'was not stopped; its count begins anew'}${wasStopped ? `; ${next}` : ''}`)
    return FINE
  },
}
