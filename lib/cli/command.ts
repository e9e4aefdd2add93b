// What a command of `order-timers` is: what it takes, what it prints, and the exit status that it ends with.

import type { Runtime } from '../timers/runtime.js'

/** Exit statuses, for all commands. */
export const FINE = 0
/** Something is wrong, or was not done. */
export const WRONG = 1
/** What was typed is no command of ours, or names no rule or id. */
export const WRONGLY_TYPED = 2
/** The timers could not be loaded, or Postgres or Redis does not answer, so that nothing is known. */
export const COULD_NOT_LOOK = 3

/** What a command was given. */
export interface Given {
  runtime: Runtime
  directory: string
  values: Record<string, string | boolean | string[] | undefined>
  positionals: string[]
  /** The answer: to stdout, and nothing else goes there. */
  print(text: string): void
  /** For what is no answer: to stderr. */
  remark(text: string): void
}

export interface Command {
  usage: string
  help: string
  /** One as it is typed, and what it does. */
  example: string
  options: Record<string, { type: 'string' | 'boolean'; multiple?: boolean }>
  /** Names of what must be given without a dash. */
  positionals: string[]
  /** How many more may be given. Default: none. */
  optional?: number
  /** Looks at what was given before anything is loaded. @throws UsageError */
  check?(given: Pick<Given, 'values'>): void
  /** @returns the exit status */
  run(given: Given): Promise<number>
}

export const MODULE = { module: { type: 'string' } } as const
export const JSON_TOO = { json: { type: 'boolean' } } as const

export function json(value: unknown): string {
  return JSON.stringify(value, null, 2)
}
