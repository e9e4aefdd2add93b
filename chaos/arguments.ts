// The arguments of `npm run chaos -- …`, checked, with the remedy in the message.

export interface Arguments {
  seconds: number
  workers: number
  seed: number
  json: boolean
}

const NUMBERS = {
  seconds: { least: 5, most: 3600 },
  workers: { least: 1, most: 16 },
  seed: { least: 0, most: 2 ** 32 - 1 },
} as const

export const USAGE = 'npm run chaos -- [--seconds 45] [--workers 3] [--seed <number>] [--json]'

export class ArgumentError extends Error {}

/** @throws ArgumentError */
export function parseArguments(argv: readonly string[]): Arguments {
  const found: Arguments = { seconds: 45, workers: 3, seed: Math.floor(Math.random() * 2 ** 32), json: false }
  const rest = argv.flatMap((text) =>
    /^--\w+=/.test(text) ? [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] : [text],
  )
  while (rest.length > 0) {
    const name = (rest.shift() as string).replace(/^--/, '')
    if (name === 'json') found.json = true
    else if (isNumberName(name)) found[name] = wholeNumber(name, rest.shift())
    else throw new ArgumentError(`there is no option "${name}"; ${USAGE}`)
  }
  return found
}

function isNumberName(name: string): name is keyof typeof NUMBERS {
  return Object.hasOwn(NUMBERS, name)
}

function wholeNumber(name: keyof typeof NUMBERS, text: string | undefined): number {
  const { least, most } = NUMBERS[name]
  const value = Number(text)
  if (text !== undefined && /^\d+$/.test(text) && value >= least && value <= most) return value
  throw new ArgumentError(
    `--${name} must be a whole number from ${least} to ${most}, got ${text === undefined ? 'nothing' : JSON.stringify(text)}; ${USAGE}`,
  )
}
