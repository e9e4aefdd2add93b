// `order-timers release`.

import { releaseBrake } from '../../admin/release.js'
import { REASON_OPTION, recordedIfPossible } from '../acting.js'
import { type Command, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'

export const releaseCommand: Command = {
  usage: 'release KIND [--reason TEXT] [--json]',
  help: 'releases a rule that its brake has stopped; running workers settle at once what was held',
  example: 'order-timers release order_confirm',
  options: { ...MODULE_OPTION, ...JSON_OPTION, ...REASON_OPTION },
  positionals: ['KIND'],
  async run(given) {
    const { runtime, positionals, values, print } = given
    const [kind = ''] = positionals
    const released = await recordedIfPossible(given, (actor) => releaseBrake(runtime, kind, actor))
    const { wasStopped, workersAsked, next } = released
    if (values.json) print(json({ kind, wasStopped, workersAsked, next }))
    else print(`${kind}: ${wasStopped ? 'released' : 'was not stopped; its count starts again'}${wasStopped ? `; ${next}` : ''}`)
    return OK
  },
}
