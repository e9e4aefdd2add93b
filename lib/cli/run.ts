// One run of `order-timers`: what was typed is looked at, the shop's timers are loaded, the command is carried out, and everything that it used is
// closed again.

import { parseArgs } from 'node:util'
import { within } from '../redis/connection.js'
import type { Runtime } from '../runtime.js'
import { RUNTIME } from '../runtime.js'
import { COMMANDS, type Command, type Given } from './commands.js'
import { loadTimers } from './timers-module.js'
import { UsageError } from './usage-error.js'

export interface Surroundings {
  /** Where the module is looked for. */
  directory: string
  print(text: string): void
  remark(text: string): void
}

const CLOSE_MS = 3_000

/** @returns the exit status: 0; 1 where something went wrong or does not answer; 2 where what was typed is no command */
export async function run(args: readonly string[], { directory, print, remark }: Surroundings): Promise<number> {
  try {
    const [name = '', ...rest] = args
    if (name === '--help' || name === '-h' || name === 'help') {
      print(help())
      return 0
    }
    const command = commandOf(name)
    const { values, positionals } = parse(command, rest)
    if (values.help) {
      print(`order-timers ${command.usage} [--module FILE]\n\n${command.help}`)
      return 0
    }
    command.check?.({ values })
    const timers = await loadTimers(values.module as string | undefined, directory)
    const runtime = timers[RUNTIME]
    try {
      silenceSequelize(runtime)
      return await command.run({ runtime, directory, values, positionals, print, remark })
    } finally {
      await within(CLOSE_MS, close(runtime))
    }
  } catch (error) {
    remark(explain(error))
    return error instanceof UsageError ? 2 : 1
  }
}

function commandOf(name: string): Command {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command) return command
  const known = Object.keys(COMMANDS).join(', ')
  const given = name === '' ? 'say what to do' : `there is no command ${JSON.stringify(name)}`
  throw new UsageError(`${given}; the commands are ${known} (order-timers --help)`)
}

function parse(command: Command, args: string[]): Pick<Given, 'values' | 'positionals'> {
  const options = { ...command.options, help: { type: 'boolean', short: 'h' } as const }
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true })
    const missing = command.positionals[positionals.length]
    if (missing !== undefined && !values.help) throw new UsageError(`${missing} is missing`)
    const surplus = positionals[command.positionals.length]
    if (surplus !== undefined) throw new UsageError(`${JSON.stringify(surplus)} is one too many`)
    return { values, positionals }
  } catch (error) {
    const [what] = (error as Error).message.split('. ')
    throw new UsageError(`${what}; write: order-timers ${command.usage}`, { cause: error })
  }
}

/** By default Sequelize prints every statement. Models that are wrong are the command's to say. */
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

/** With what lies beneath where the shop's own module could not be loaded: its stack says where. */
function explain(error: unknown): string {
  const { message, code, cause } = error as Error & { code?: string }
  if (code === 'ERR_ORDER_TIMERS_TIMERS_NOT_FOUND' && cause instanceof Error) return `${message}\n${cause.stack}`
  const known = typeof code === 'string' && code.startsWith('ERR_ORDER_TIMERS_')
  return `${/^order-?timers:/i.test(message) ? '' : 'order-timers: '}${message}${known ? ` (${code})` : ''}`
}

function help(): string {
  const commands = Object.values(COMMANDS).map(({ usage, help }) => `  order-timers ${usage}\n      ${help}`)
  return `Looks at your order timers, and does what is to be done by hand.

${commands.join('\n')}

Each takes --module FILE, the module that exports your timers (and starts neither a server nor a worker). Without it, package.json's
"order-timers": { "module": "./path/to/timers.js" } is taken, or timers.js (.mjs, .cjs), here or in dist, build, src or lib.`
}
