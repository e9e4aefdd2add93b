// One run of `order-timers`: what was typed is looked at, the shop's timers are loaded, the command is carried out, and everything that it used is
// closed again.

import { parseArgs } from 'node:util'
import { errorText } from '../error-text.js'
import { faultOwnerOf, isDatabaseTrouble } from '../sequelize/fault-owner.js'
import type { Runtime } from '../timers/runtime.js'
import { RUNTIME } from '../timers/runtime.js'
import { within } from '../wait.js'
import { COULD_NOT_LOOK, type Command, FINE, type Given, WRONG, WRONGLY_TYPED } from './command.js'
import { COMMANDS } from './commands.js'
import { nearest } from './nearest.js'
import { loadTimers } from './timers-module.js'
import { UsageError } from './usage-error.js'

export interface Surroundings {
  /** Where the module is looked for. */
  directory: string
  print(text: string): void
  remark(text: string): void
}

const CLOSE_MS = 3_000

/** @returns the exit status; see command.ts */
export async function run(args: readonly string[], { directory, print, remark }: Surroundings): Promise<number> {
  try {
    const [name = '', ...rest] = args
    if (name === '--help' || name === '-h' || name === 'help') {
      print(rest[0] === undefined || rest[0].startsWith('-') ? help() : helpOn(commandOf(rest[0])))
      return FINE
    }
    const command = commandOf(name)
    const { values, positionals } = parse(command, rest)
    if (values.help) {
      print(helpOn(command))
      return FINE
    }
    command.check?.({ values })
    const timers = await loadTimers(values.module as string | undefined, directory, { remark })
    const runtime = timers[RUNTIME]
    try {
      silenceSequelize(runtime)
      return await command.run({ runtime, directory, values, positionals, print, remark })
    } finally {
      await within(CLOSE_MS, close(runtime))
    }
  } catch (error) {
    remark(explain(error))
    return statusOf(error)
  }
}

function commandOf(name: string): Command {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command) return command
  const known = Object.keys(COMMANDS)
  const meant = nearest(name, known)
  const given = name === '' ? 'say what to do' : `there is no command ${JSON.stringify(name)}`
  throw new UsageError(`${given}${didYouMean(meant)}; the commands are ${known.join(', ')} (order-timers --help)`)
}

function parse(command: Command, args: string[]): Pick<Given, 'values' | 'positionals'> {
  const options = { ...command.options, help: { type: 'boolean', short: 'h' } as const }
  try {
    const { values, positionals, tokens } = parseArgs({ args, options, allowPositionals: true, strict: true, tokens: true })
    const repeated = tokens.find((token) => token.kind === 'option' && isRepeated(token, tokens, options))
    if (repeated?.kind === 'option') throw new UsageError(`--${repeated.name} is given more than once`)
    const missing = command.positionals[positionals.length]
    if (missing !== undefined && !values.help) throw new UsageError(`${missing} is missing`)
    const surplus = positionals[command.positionals.length + (command.optional ?? 0)]
    if (surplus !== undefined) throw new UsageError(`${JSON.stringify(surplus)} is one too many`)
    return { values, positionals }
  } catch (error) {
    const [what = ''] = (error as Error).message.split('. ')
    const [, unknown] = /^Unknown option '--?([^']+)'/.exec(what) ?? []
    const meant = unknown === undefined ? undefined : nearest(unknown, Object.keys(options))
    throw new UsageError(`${what}${didYouMean(meant && `--${meant}`)}; write: order-timers ${command.usage}`, { cause: error })
  }
}

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number]

/** Of an option that takes one value, the last one would count, and the others would be dropped silently. */
function isRepeated({ name }: { name: string }, tokens: readonly Token[], options: Command['options']): boolean {
  const { type, multiple = false } = options[name] ?? {}
  return type === 'string' && !multiple && tokens.filter((token) => token.kind === 'option' && token.name === name).length > 1
}

function didYouMean(meant: string | undefined): string {
  return meant === undefined ? '' : ` (did you mean ${meant}?)`
}

/** Errors that name what was typed, and those that say that nothing could be looked at. */
const TYPED = ['UNKNOWN_KIND', 'INVALID_ID']
const UNKNOWN = ['TIMERS_NOT_FOUND', 'REDIS_UNAVAILABLE', 'REDIS_UNUSABLE', 'POSTGRES_UNAVAILABLE']

function statusOf(error: unknown): number {
  const name = String((error as { code?: unknown } | null | undefined)?.code).replace('ERR_ORDER_TIMERS_', '')
  if (error instanceof UsageError || TYPED.includes(name)) return WRONGLY_TYPED
  return UNKNOWN.includes(name) || isDatabaseTrouble(error) ? COULD_NOT_LOOK : WRONG
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
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown }
  const message = errorText(error)
  if (code === 'ERR_ORDER_TIMERS_TIMERS_NOT_FOUND' && cause instanceof Error) return `${message}\n${stackOf(cause)}`
  const known = typeof code === 'string' && code.startsWith('ERR_ORDER_TIMERS_')
  if (!known && !(error instanceof UsageError) && faultOwnerOf(error) === 'internal') {
    const remedy = 'report it with the versions of this package, Sequelize and Node'
    return `order-timers: a fault of express-order-timers itself (${message}); ${remedy}${error instanceof Error ? `\n${stackOf(error)}` : ''}`
  }
  return `${/^order-?timers:/i.test(message) ? '' : 'order-timers: '}${message}${known ? ` (${code})` : ''}`
}

/** The stack begins with the message, of which no more is shown than elsewhere. */
function stackOf(error: Error): string {
  const { stack = '', message } = error
  return message === '' ? stack : stack.replaceAll(message, () => errorText(error))
}

function helpOn({ usage, help, example, options }: Command): string {
  const module = 'module' in options ? ' [--module FILE]' : ''
  return `order-timers ${usage}${module}\n\n${help}\n\nExample: ${example}`
}

function help(): string {
  const commands = Object.values(COMMANDS).map(
    ({ usage, help, example }) => `  order-timers ${usage}\n      ${help}\n      for example: ${example}`,
  )
  return `Looks at your order timers, and does what is to be done by hand.

${commands.join('\n')}

Each takes --module FILE, the module that exports your timers (and starts neither a server nor a worker). Without it, package.json's
"order-timers": { "module": "./path/to/timers.js" } is taken, or timers.js (.mjs, .cjs, .ts), here or in dist, build, src or lib.

Exit status: 0 fine; 1 something is wrong, or was not done; 2 wrongly typed, or no such rule or id; 3 could not look, since the timers could
not be loaded, or Postgres or Redis does not answer. Answers go to stdout, and all else to stderr.`
}
