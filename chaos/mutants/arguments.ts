// The arguments of `npm run mutants -- …`.

import { parseArgs } from 'node:util'
import type { PlantedBug } from './planted-bug.js'
import { PLANTED_BUGS } from './planted-bugs.js'

export interface Arguments {
  bugs: readonly PlantedBug[]
  /** Asks every suite, the model and the chaos run about each bug, and does not stop at the first that catches it. */
  all: boolean
  /** Where results are kept as they come; those that are there already are not asked for again. */
  file: string | undefined
  /** Whether the chaos run is asked, and whether nobody else is. */
  chaos: boolean | 'alone'
}

export const USAGE = 'npm run mutants -- [--only <name>]… [--all] [--resume <file>] [--no-chaos | --chaos-alone]'

export class ArgumentError extends Error {}

/** @throws ArgumentError */
export function parseArguments(argv: string[]): Arguments {
  const { only, all, resume, 'no-chaos': noChaos, 'chaos-alone': alone } = parse(argv)
  if (noChaos && alone) throw new ArgumentError(`--no-chaos and --chaos-alone do not go together; ${USAGE}`)
  const unknown = only?.find((name) => !PLANTED_BUGS.some((bug) => bug.name === name))
  if (unknown !== undefined)
    throw new ArgumentError(`there is no planted bug "${unknown}"; there are: ${PLANTED_BUGS.map(({ name }) => name).join(', ')}`)
  return { bugs: PLANTED_BUGS.filter(({ name }) => only?.includes(name) ?? true), all, file: resume, chaos: alone ? 'alone' : !noChaos }
}

function parse(args: string[]) {
  try {
    const flag = { type: 'boolean', default: false } as const
    return parseArgs({
      args,
      options: { only: { type: 'string', multiple: true }, all: flag, resume: { type: 'string' }, 'no-chaos': flag, 'chaos-alone': flag },
    }).values
  } catch (error) {
    throw new ArgumentError(`${(error as Error).message}; ${USAGE}`)
  }
}
