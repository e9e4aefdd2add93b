// `order-timers doctor`.

import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { bundleOf } from '../../admin/doctor/bundle.js'
import { doctor } from '../../admin/doctor/doctor.js'
import { type Command, FAILED, JSON_OPTION, json, MODULE_OPTION, OK, UNAVAILABLE } from '../command.js'
import { doctorText } from '../doctor-text.js'
import { UsageError } from '../usage-error.js'

const ROLES = ['worker', 'web'] as const

export const doctorCommand: Command = {
  usage: 'doctor [--role worker|web] [--bundle FILE] [--json]',
  help: 'checks everything that timers need: prints what was expected, what was found, and how to fix it; changes nothing',
  example: 'order-timers doctor',
  options: { ...MODULE_OPTION, ...JSON_OPTION, role: { type: 'string' }, bundle: { type: 'string' } },
  positionals: [],
  check({ values }) {
    roleOf(values.role)
  },
  async run({ runtime, directory, values, print, remark }) {
    const diagnosis = await doctor(runtime, { directory, role: roleOf(values.role) })
    if (typeof values.bundle === 'string') {
      await writeBundle(resolve(directory, values.bundle), json(await bundleOf(runtime, diagnosis)))
      remark(`wrote ${values.bundle}, without hosts, users, prefixes and ids; look at it before you send it`)
    }
    print(values.json ? json(diagnosis) : doctorText(diagnosis))
    if (!diagnosis.ok) return FAILED
    return diagnosis.counts.unseen > 0 ? UNAVAILABLE : OK
  },
}

async function writeBundle(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, `${text}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new UsageError(code === 'EEXIST' ? `${file} is there already; name another one` : `${file} cannot be written (${code})`)
  }
}

function roleOf(given: unknown): (typeof ROLES)[number] {
  const role = ROLES.find((one) => one === (given ?? 'worker'))
  if (role === undefined) throw new UsageError(`--role is worker or web, not ${JSON.stringify(given)}`)
  return role
}
