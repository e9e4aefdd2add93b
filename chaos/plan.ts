// The plan of a run: its seed, and which fault strikes when, for how long. It is made from the seed alone, and may be saved and played again.

import { type FaultKind, faultOf, isFaultKind, isFor, kindsOf, LANES, type Lane, NEEDS_OTHER } from './faults/all.js'
import type { Random } from './random.js'
import { POSTGRES_TOPOLOGIES, REDIS_TOPOLOGIES, type Topology } from './servers/topology.js'

export interface PlannedFault {
  kind: FaultKind
  atMs: number
  forMs: number
  /** Which of the workers and of the shops, where it is about one: the remainder by how many there are. */
  host: number
  /** For what else the fault has to choose. */
  seed: number
}

export interface Plan {
  seed: number
  seconds: number
  workers: number
  /** Of all shops together. */
  ordersPerSecond: number
  faults: PlannedFault[]
  /** One server each unless it says otherwise. */
  redis?: Topology['redis']
  postgres?: Topology['postgres']
}

const FIRST_MS = 1500
const PAUSE_MS = [600, 1800] as const

/** Every kind of a lane comes before one comes again. Faults end before the time is up. */
export function makePlan(
  random: Random,
  { seed, seconds, workers, ordersPerSecond, ...topology }: Omit<Plan, 'faults'>,
  { beside = false } = {},
): Plan {
  const usable = (kind: FaultKind) => isFor(kind, topologyOf(topology)) && (beside || !NEEDS_OTHER.has(kind))
  const faults = (Object.keys(LANES) as Lane[]).flatMap((lane) => planLane(kindsOf(lane).filter(usable), random.branch(), seconds * 1000))
  return { seed, seconds, workers, ordersPerSecond, ...topology, faults: faults.sort((a, b) => a.atMs - b.atMs) }
}

export function topologyOf({ redis = 'server', postgres = 'server' }: Pick<Plan, 'redis' | 'postgres'>): Topology {
  return { redis, postgres }
}

function planLane(kinds: readonly FaultKind[], random: Random, endMs: number): PlannedFault[] {
  const planned: PlannedFault[] = []
  let deck: FaultKind[] = []
  let atMs = FIRST_MS + random.between(0, PAUSE_MS[1])
  for (;;) {
    if (deck.length === 0) deck = random.shuffled(kinds)
    const kind = deck.pop() as FaultKind
    const forMs = random.between(...faultOf(kind).lasts)
    if (atMs + forMs > endMs) return planned
    planned.push({ kind, atMs, forMs, host: random.between(0, 2 ** 16), seed: random.between(0, 2 ** 31) })
    atMs += forMs + random.between(...PAUSE_MS)
  }
}

/** How long a run must last so that these faults end before it does. */
export function requiredSeconds(faults: readonly PlannedFault[]): number {
  return Math.max(5, ...faults.map(({ atMs, forMs }) => Math.ceil((atMs + forMs) / 1000) + 2))
}

/** @throws PlanError */
export function parsePlan(text: string, what: string): Plan {
  let plan: Partial<Plan>
  try {
    plan = JSON.parse(text) as Partial<Plan>
  } catch (cause) {
    throw new PlanError(`${what} is not JSON: ${(cause as Error).message}`)
  }
  const { seed, seconds, workers, ordersPerSecond, faults } = plan
  if (![seed, seconds, workers, ordersPerSecond].every(Number.isSafeInteger) || !Array.isArray(faults)) {
    throw new PlanError(
      `${what} is no plan: it must have whole numbers "seed", "seconds", "workers" and "ordersPerSecond", and a list "faults"`,
    )
  }
  const topology = topologyOf(plan)
  const { redis, postgres } = topology
  if (!REDIS_TOPOLOGIES.includes(redis) || !POSTGRES_TOPOLOGIES.includes(postgres)) {
    const known = `"redis" one of ${REDIS_TOPOLOGIES.join(', ')}, and "postgres" one of ${POSTGRES_TOPOLOGIES.join(', ')}`
    throw new PlanError(`${what} must have as ${known}, or leave them out`)
  }
  for (const { kind, atMs, forMs, host, seed: own } of faults) {
    if (!isFaultKind(kind)) throw new PlanError(`${what} has a fault of the kind ${JSON.stringify(kind)}, and there is none`)
    if (!isFor(kind, topology))
      throw new PlanError(`${what} has a fault ${kind}, which there cannot be with "redis": "${redis}" and "postgres": "${postgres}"`)
    if (![atMs, forMs, host, own].every(Number.isSafeInteger)) {
      throw new PlanError(`${what} has a fault ${kind} without whole numbers "atMs", "forMs", "host" and "seed"`)
    }
  }
  return plan as Plan
}

/** Not a plan that can be played. */
export class PlanError extends Error {}
