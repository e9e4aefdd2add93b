// Parses the command line: the command, its options and operands. An unknown word is refused, with the most similar known one.

import { parseArgs } from 'node:util'
import type { Command, CommandInput } from './command.js'
import { COMMANDS } from './commands.js'
import { nearest } from './nearest.js'
import { UsageError } from './usage-error.js'

/** @throws UsageError */
export function commandOf(name: string): Command {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command) return command
  const known = Object.keys(COMMANDS)
  const meant = nearest(name, known)
  const given = name === '' ? 'say what to do' : `there is no command ${JSON.stringify(name)}`
  throw new UsageError(`${given}${didYouMean(meant)}; the commands are ${known.join(', ')} (order-timers --help)`)
}

/** @throws UsageError */
export function parseOptions(command: Command, args: string[]): Pick<CommandInput, 'values' | 'positionals'> {
  const options = { ...command.options, help: { type: 'boolean', short: 'h' } as const }
  try {
    const { values, positionals, tokens } = parseArgs({ args, options, allowPositionals: true, strict: true, tokens: true })
    const repeated = tokens.find((token) => token.kind === 'option' && isRepeated(token, tokens, options))
    if (repeated?.kind === 'option') throw new UsageError(`--${repeated.name} is given more than once`)
    const missing = command.positionals[positionals.length]
    if (missing !== undefined && !values.help) throw new UsageError(`${missing} is missing`)
    const surplus = positionals[command.positionals.length + (command.optional ?? 0)]
    if (surplus !== undefined) throw new UsageError(`${JSON.stringify(surplus)} is one argument too many`)
    return { values, positionals }
  } catch (error) {
    const [what = ''] = (error as Error).message.split('. ')
    const [, unknown] = /^Unknown option '--?([^']+)'/.exec(what) ?? []
    const meant = unknown === undefined ? undefined : nearest(unknown, Object.keys(options))
    throw new UsageError(`${what}${didYouMean(meant && `--${meant}`)}; write: order-timers ${command.usage}`, { cause: error })
  }
}

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number]

/** parseArgs takes the last value of an option and drops the others silently. */
function isRepeated({ name }: { name: string }, tokens: readonly Token[], options: Command['options']): boolean {
  const { type, multiple = false } = options[name] ?? {}
  return type === 'string' && !multiple && tokens.filter((token) => token.kind === 'option' && token.name === name).length > 1
}

function didYouMean(meant: string | undefined): string {
  return meant === undefined ? '' : ` (did you mean ${meant}?)`
}
