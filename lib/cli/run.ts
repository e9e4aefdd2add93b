// One run of `order-timers`: parses the command line, loads the shop's timers, runs the command, and closes everything that it used.

import { RUNTIME, type Runtime } from '../timers/runtime.js'
import { within } from '../wait.js'
import { commandOf, parseOptions } from './arguments.js'
import { OK } from './command.js'
import { failureText, statusOf } from './failure.js'
import { help, helpOn } from './help.js'
import { printable } from './one-line.js'
import { loadTimers } from './timers-module.js'

export interface RunContext {
  /** The folder in which the module is searched. */
  directory: string
  print(text: string): void
  remark(text: string): void
}

const CLOSE_MS = 3_000

/** @returns the exit status; see command.ts */
export async function run(args: readonly string[], context: RunContext): Promise<number> {
  const { directory } = context
  const print = (text: string) => context.print(printable(text))
  const remark = (text: string) => context.remark(printable(text))
  try {
    const [name = '', ...rest] = args
    if (name === '--help' || name === '-h' || name === 'help') {
      print(rest[0] === undefined || rest[0].startsWith('-') ? help() : helpOn(commandOf(rest[0])))
      return OK
    }
    const command = commandOf(name)
    const { values, positionals } = parseOptions(command, rest)
    if (values.help) {
      print(helpOn(command))
      return OK
    }
    command.check?.({ values })
    const answer = command.answer?.({ values, print, remark })
    if (answer !== undefined) return answer
    const timers = await loadTimers(values.module as string | undefined, directory, { remark })
    const runtime = timers[RUNTIME]
    runtime.beats?.onlyLook()
    try {
      silenceSequelize(runtime)
      return await command.run({ runtime, directory, values, positionals, print, remark })
    } finally {
      await within(CLOSE_MS, close(runtime))
    }
  } catch (error) {
    remark(failureText(error))
    return statusOf(error)
  }
}

/** By default Sequelize prints every statement. */
function silenceSequelize(runtime: Runtime): void {
  for (const sequelize of sequelizesOf(runtime)) (sequelize as unknown as { options: { logging: unknown } }).options.logging = false
}

async function close(runtime: Runtime): Promise<void> {
  const sequelizes = sequelizesOf(runtime)
  await runtime.close()
  await Promise.allSettled([...sequelizes].map((sequelize) => sequelize.close()))
}

function sequelizesOf(runtime: Runtime) {
  const rules = runtime.kinds.flatMap((kind) => {
    try {
      return [runtime.rule(kind)]
    } catch {
      return []
    }
  })
  return new Set(rules.flatMap(({ row }) => (row ? [row.guard.table.sequelize] : [])))
}
