// The arguments of `npm run chaos -- …`, checked, with the remedy in the message.

import { POSTGRES_TOPOLOGIES, type PostgresTopology, REDIS_TOPOLOGIES, type RedisTopology } from './servers/topology.js'

export interface Arguments {
  seconds: number
  /** Runs one after the other, for so long. */
  minutes?: number
  workers: number
  /** How many orders all shops create together, each second. */
  ordersPerSecond: number
  seed: number
  json: boolean
  /** Where the plan is written. */
  save?: string
  /** A plan that was saved. */
  plan?: string
  /** Whether a failing plan is made smaller. */
  shrink: boolean
  /** Where each run's result is added, with `minutes`. */
  results?: string
  /** Another checkout of the package. */
  beside?: string
  /** `payments`: the shop whose customers pay around the deadline, with `verify`. */
  shop?: string
  /** What Redis and Postgres are: one server each, unless it is said. */
  redis?: RedisTopology
  postgres?: PostgresTopology
  /** Of that shop: whether the payment service is only asked, and closes nothing. */
  lookOnly?: boolean
}

const NUMBERS = {
  seconds: { least: 5, most: 3600 },
  minutes: { least: 1, most: 1440 },
  workers: { least: 1, most: 16 },
  'orders-per-second': { least: 10, most: 10_000 },
  seed: { least: 0, most: 2 ** 32 - 1 },
} as const
const PATHS = ['save', 'plan', 'results', 'beside'] as const
const CHOICES = { shop: ['payments'], redis: REDIS_TOPOLOGIES, postgres: POSTGRES_TOPOLOGIES } as const
const SWITCHES = ['json', 'no-shrink', 'look-only'] as const

export const USAGE = `npm run chaos -- [--seconds 45 | --minutes <number> [--results FILE]] [--workers 3] [--orders-per-second 450] [--seed <number>] [--json]
  [--save FILE] [--plan FILE] [--no-shrink] [--beside DIRECTORY] [--redis sentinel|cluster] [--postgres standby] [--shop payments [--look-only]]`

/** Each with those that it cannot go with, and why. */
const APART: [keyof Arguments, (keyof Arguments)[], string][] = [
  [
    'plan',
    ['seconds', 'workers', 'ordersPerSecond', 'seed', 'minutes', 'redis', 'postgres'],
    'the plan says how long, with how many workers, on which servers and with which seed; leave them out',
  ],
  ['shop', ['plan', 'save', 'beside', 'redis', 'postgres'], 'that shop has faults and servers of its own, and no plan; leave it out'],
  ['minutes', ['save'], 'each of the runs has a plan of its own; save one with --seed and the seed that its result has'],
]

const SWITCHED: Record<(typeof SWITCHES)[number], Partial<Arguments>> = {
  json: { json: true },
  'no-shrink': { shrink: false },
  'look-only': { lookOnly: true },
}

export class ArgumentError extends Error {}

/** @throws ArgumentError */
export function parseArguments(argv: readonly string[]): Arguments {
  const given: Partial<Arguments> = {}
  const rest = argv.flatMap((text) =>
    /^--[\w-]+=/.test(text) ? [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] : [text],
  )
  while (rest.length > 0) {
    const text = rest.shift() as string
    const name = text.replace(/^--/, '')
    if (text === name) throw new ArgumentError(`"${text}" is no option: options begin with --; ${USAGE}`)
    if (isOf(Object.keys(NUMBERS) as (keyof typeof NUMBERS)[], name))
      given[name === 'orders-per-second' ? 'ordersPerSecond' : name] = wholeNumber(name, rest.shift())
    else if (isOf(PATHS, name)) given[name] = path(name, rest.shift())
    else if (isOf(SWITCHES, name)) Object.assign(given, SWITCHED[name])
    else if (isOf(Object.keys(CHOICES) as (keyof typeof CHOICES)[], name)) Object.assign(given, { [name]: choice(name, rest.shift()) })
    else throw new ArgumentError(`there is no option "--${name}"; ${USAGE}`)
  }
  for (const [name, others, why] of APART) {
    const other = given[name] === undefined ? undefined : others.find((each) => given[each] !== undefined)
    if (other !== undefined)
      throw new ArgumentError(`--${name} and --${other.replace('ordersPerSecond', 'orders-per-second')} do not go together: ${why}`)
  }
  if (given.results !== undefined && given.minutes === undefined)
    throw new ArgumentError('--results is for --minutes, which makes several runs; say for how many minutes, or leave it out')
  return {
    seconds: given.minutes === undefined ? 45 : 60,
    workers: 3,
    ordersPerSecond: 450,
    seed: Math.floor(Math.random() * 2 ** 32),
    json: false,
    shrink: true,
    ...given,
  }
}

function isOf<Name extends string>(names: readonly Name[], name: string): name is Name {
  return (names as readonly string[]).includes(name)
}

function wholeNumber(name: keyof typeof NUMBERS, text: string | undefined): number {
  const { least, most } = NUMBERS[name]
  const value = Number(text)
  if (text !== undefined && /^\d+$/.test(text) && value >= least && value <= most) return value
  throw new ArgumentError(
    `--${name} must be a whole number from ${least} to ${most}, got ${text === undefined ? 'nothing' : JSON.stringify(text)}; ${USAGE}`,
  )
}

function choice(name: keyof typeof CHOICES, text: string | undefined): string {
  const choices: readonly string[] = CHOICES[name]
  if (text !== undefined && choices.includes(text)) return text
  const got = text === undefined ? 'nothing' : JSON.stringify(text)
  throw new ArgumentError(`--${name} must be ${choices.join(' or ')}, got ${got}; ${USAGE}`)
}

function path(name: string, text: string | undefined): string {
  if (text !== undefined && text !== '' && !text.startsWith('--')) return text
  throw new ArgumentError(`--${name} must be followed by a path; ${USAGE}`)
}
