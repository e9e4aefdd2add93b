// The plan of a run: its seed, and which fault strikes when, for how long. It is made from the seed alone, and may be saved and played again.

import { type FaultKind, faultOf, kindsOf, LANES, type Lane } from './faults/all.js'
import type { Random } from './random.js'

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
  faults: PlannedFault[]
}

const FIRST_MS = 1500
const PAUSE_MS = [500, 1800] as const

/** Every kind of a lane comes before one comes again. Faults end before the time is up. */
export function makePlan(random: Random, { seed, seconds, workers }: Omit<Plan, 'faults'>): Plan {
  const faults = (Object.keys(LANES) as Lane[]).flatMap((lane) => planLane(kindsOf(lane), random.branch(), seconds * 1000))
  return { seed, seconds, workers, faults: faults.sort((a, b) => a.atMs - b.atMs) }
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
