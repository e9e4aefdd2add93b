// `order-timers doctor`.

import { doctor } from '../../admin/doctor/doctor.js'
import { type Command, FAILED, JSON_OPTION, json, MODULE_OPTION, OK, UNAVAILABLE } from '../command.js'
import { doctorText } from '../doctor-text.js'
import { UsageError } from '../usage-error.js'

const ROLES = ['worker', 'web'] as const

export const doctorCommand: Command = {
  usage: 'doctor [--role worker|web] [--json]',
  help: 'says of everything that timers need what was expected, what was found, and how to put it right; changes nothing',
  example: 'order-timers doctor',
  options: { ...MODULE_OPTION, ...JSON_OPTION, role: { type: 'string' } },
  positionals: [],
  check({ values }) {
    roleOf(values.role)
  },
  async run({ runtime, directory, values, print }) {
    const diagnosis = await doctor(runtime, { directory, role: roleOf(values.role) })
    print(values.json ? json(diagnosis) : doctorText(diagnosis))
    if (!diagnosis.ok) return FAILED
    return diagnosis.counts.unseen > 0 ? UNAVAILABLE : OK
  },
}

function roleOf(given: unknown): (typeof ROLES)[number] {
  const role = ROLES.find((one) => one === (given ?? 'worker'))
  if (role === undefined) throw new UsageError(`--role is worker or web, not ${JSON.stringify(given)}`)
  return role
}
