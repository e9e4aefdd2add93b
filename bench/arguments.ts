// The command line: which scenarios, which systems, which sizes, and where the results go. Anything that can't be measured is
// refused before a server is started, by the option's name, its value and the remedy.
import { parseArgs } from 'node:util'
import { SCENARIOS } from './scenarios/index.js'
import type { Scenario } from './scenarios/scenario.js'
import { SYSTEMS, type SystemName } from './systems/index.js'

export interface Plan {
  scenarios: Scenario[]
  systems: SystemName[]
  n?: number
  pendings?: number[]
  rounds?: number
  json: boolean
  docs: boolean
  /** Results of an earlier run, to draw again without measuring. */
  from?: string
  profileDir?: string
}

/** Thrown for a command line that can't be followed; its message is for the person who wrote it. */
export class ArgumentError extends Error {}

export const HELP = `npm run bench                        all scenarios, a table
npm run bench -- SCENARIO …          some: ${SCENARIOS.map(({ name }) => name).join(', ')}

  --systems a,b    of ${SYSTEMS.join(', ')}
  --n N            timers that are scheduled or come due, 1 to 1000000
  --pending N,N    timers pending meanwhile, 0 to 10000000 each
  --rounds N       rounds of which the median is shown, 1 to 20
  --json           the results as one JSON array, on the last line
  --docs           writes docs/benchmarks.md and its pictures
  --from FILE      draws the results of an earlier run (docs/benchmarks.json) instead of measuring; with --docs
  --profile DIR    a CPU profile of each child process into DIR
  --help           this text
`

const OPTIONS = {
  systems: { type: 'string' },
  n: { type: 'string' },
  pending: { type: 'string' },
  rounds: { type: 'string' },
  json: { type: 'boolean', default: false },
  docs: { type: 'boolean', default: false },
  from: { type: 'string' },
  profile: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const

/** @returns the plan, or undefined where only help was asked for */
export function planOf(argv: string[]): Plan | undefined {
  const { values, positionals } = parse(argv)
  if (values.help) return undefined
  const scenarios = positionals.length === 0 ? SCENARIOS : positionals.map(scenarioNamed)
  const systems = values.systems === undefined ? [...SYSTEMS] : listOf('systems', values.systems).map(systemNamed)
  if (values.systems !== undefined) for (const scenario of scenarios) refuseUnmeasured(scenario, systems, positionals.length > 0)
  const plan: Plan = { scenarios, systems, json: values.json, docs: values.docs }
  if (values.n !== undefined) plan.n = countOf('n', values.n, 1, 1_000_000)
  if (values.pending !== undefined) plan.pendings = listOf('pending', values.pending).map((text) => countOf('pending', text, 0, 10_000_000))
  if (values.rounds !== undefined) plan.rounds = countOf('rounds', values.rounds, 1, 20)
  if (values.from !== undefined) plan.from = values.from
  if (values.profile !== undefined) plan.profileDir = values.profile
  if (plan.from !== undefined && !plan.docs) throw new ArgumentError(`bench: "--from" draws pictures of earlier results; add --docs`)
  return plan
}

function parse(argv: string[]) {
  try {
    return parseArgs({ args: argv, options: OPTIONS, allowPositionals: true })
  } catch (error) {
    const [message] = (error as Error).message.split('. ')
    throw new ArgumentError(
      `bench: ${message}; the options are ${Object.keys(OPTIONS)
        .map((name) => `--${name}`)
        .join(', ')}`,
    )
  }
}

function scenarioNamed(name: string): Scenario {
  const scenario = SCENARIOS.find((candidate) => candidate.name === name)
  if (scenario) return scenario
  throw new ArgumentError(`bench: the scenario must be one of ${SCENARIOS.map((one) => one.name).join(', ')}, got ${JSON.stringify(name)}`)
}

function systemNamed(name: string): SystemName {
  const system = SYSTEMS.find((candidate) => candidate === name)
  if (system) return system
  throw new ArgumentError(`bench: "--systems" must list names of ${SYSTEMS.join(', ')}, got ${JSON.stringify(name)}`)
}

/** A scenario that was asked for by name must have something to measure. */
function refuseUnmeasured(scenario: Scenario, systems: SystemName[], asked: boolean): void {
  if (!asked || systems.some((system) => scenario.systems.includes(system))) return
  throw new ArgumentError(
    `bench: "--systems" names none that the scenario "${scenario.name}" measures (${scenario.systems.join(', ')}), got ${JSON.stringify(systems.join(','))}`,
  )
}

function listOf(option: string, text: string): string[] {
  const list = text.split(',').map((item) => item.trim())
  if (list.every((item) => item !== '')) return list
  throw new ArgumentError(`bench: "--${option}" must be a list such as a,b without empty places, got ${JSON.stringify(text)}`)
}

function countOf(option: string, text: string, least: number, most: number): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && count >= least && count <= most) return count
  throw new ArgumentError(`bench: "--${option}" must be a whole number from ${least} to ${most}, got ${JSON.stringify(text)}`)
}
