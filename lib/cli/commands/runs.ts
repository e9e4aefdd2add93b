// `order-timers runs`.

import { unfinishedRuns } from '../../admin/runs.js'
import { abandonRun, resumeRun } from '../../timers/bulk/calls.js'
import { codedErrors } from '../../timers/coded-errors.js'
import { resultText, runsText } from '../bulk-text.js'
import { type Command, FAILED, JSON_OPTION, json, MODULE_OPTION, OK } from '../command.js'
import { followed } from '../followed.js'
import { UsageError } from '../usage-error.js'

export const runsCommand: Command = {
  usage: 'runs [KIND] [--resume | --abandon] [--json]',
  help: 'lists runs over many orders that have not ended (exit status 1 if there is one); --resume continues the run of a rule, --abandon ends it as it is',
  example: 'order-timers runs order_confirm --resume',
  options: { ...MODULE_OPTION, ...JSON_OPTION, resume: { type: 'boolean' }, abandon: { type: 'boolean' } },
  positionals: [],
  optional: 1,
  async run(given) {
    const { runtime, positionals, values, print } = given
    const [kind] = positionals
    const { resume, abandon } = values
    if (resume && abandon) throw new UsageError('--resume and --abandon are given; give one of them')
    if ((resume || abandon) && kind === undefined)
      throw new UsageError(`KIND is missing: say which rule's run to ${resume ? 'resume' : 'abandon'}`)
    const coded = <T>(work: () => Promise<T>) => codedErrors(runtime.redis?.source.describe() ?? '', work)
    if (kind === undefined || (!resume && !abandon)) {
      const runs = await coded(() => unfinishedRuns(runtime, kind))
      print(values.json ? json({ runs }) : runsText(runs))
      return runs.length === 0 ? OK : FAILED
    }
    const result = resume
      ? await followed(given, (options) => coded(() => resumeRun(runtime, kind, options)))
      : await coded(() => abandonRun(runtime, kind))
    print(values.json ? json(result) : resultText(result))
    return OK
  },
}
