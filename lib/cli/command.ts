// A command of `order-timers`: what it takes, what it prints, and its exit status.

import type { Runtime } from '../timers/runtime.js'

/** Exit statuses, for all commands. */
export const OK = 0
/** Something is wrong, or nothing was done. */
export const FAILED = 1
/** The command line is wrong, or names an unknown rule or id. */
export const USAGE = 2
/** The timers could not be loaded, or Postgres or Redis does not answer. */
export const UNAVAILABLE = 3

/** What a command works with. */
export interface CommandInput {
  runtime: Runtime
  directory: string
  values: Record<string, string | boolean | string[] | undefined>
  positionals: string[]
  /** Prints the answer on stdout, where nothing else goes. */
  print(text: string): void
  /** Prints on stderr. */
  remark(text: string): void
}

export interface Command {
  usage: string
  help: string
  /** The usage, for the help. */
  example: string
  options: Record<string, { type: 'string' | 'boolean'; multiple?: boolean }>
  /** The operands that must be given, as the usage names them. */
  positionals: string[]
  /** How many more operands may be given. Default: none. */
  optional?: number
  /** Called before anything is loaded. @throws UsageError */
  check?(given: Pick<CommandInput, 'values'>): void
  /** Runs without the timers, if it can. @returns the exit status; undefined if the timers are needed */
  answer?(given: Omit<CommandInput, 'runtime' | 'directory' | 'positionals'>): number | undefined
  /** @returns the exit status */
  run(given: CommandInput): Promise<number>
}

export const MODULE_OPTION = { module: { type: 'string' } } as const
export const JSON_OPTION = { json: { type: 'boolean' } } as const

/** Without control codes: JSON leaves some of them as they are. */
export function json(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/[\u007f-\u009f]/g, (code) => `\\u00${code.charCodeAt(0).toString(16)}`)
}
