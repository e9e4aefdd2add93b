// The plan of faults, made from the seed alone: which fault when, for how long. Three rows run side by side: what happens to the servers
// and the network, to the workers, and to the data. Within a row one fault follows another, with a pause between them.

import type { Random } from './random.js'

export interface PlannedFault {
  kind: FaultKind
  atMs: number
  forMs: number
  /** Which of the workers, where it is about one. */
  worker: number
  /** For what else the fault has to choose. */
  seed: number
}

/** How long each fault lasts, at least and at most, in milliseconds. */
const ROWS = {
  servers: {
    'redis-killed': [500, 3000],
    'redis-frozen': [500, 3000],
    'redis-paused': [500, 2000],
    'redis-silent': [1000, 4000],
    'redis-flapping': [1000, 3000],
    'redis-replies-dropped': [500, 1500],
    'redis-read-only': [500, 2000],
    'redis-out-of-memory': [500, 2000],
    'postgres-crashed': [200, 2000],
    'postgres-frozen': [500, 2500],
    'postgres-silent': [500, 2500],
    'postgres-commits-unanswered': [300, 1000],
  },
  workers: {
    'worker-killed': [200, 1500],
    'worker-frozen': [500, 3000],
    'worker-replaced': [0, 0],
    'worker-clock-shifted': [1000, 4000],
  },
  data: {
    'redis-flushed': [0, 0],
    'redis-keys-removed': [0, 0],
    'redis-connections-killed': [0, 0],
    'events-off': [1000, 4000],
    'events-forged': [0, 0],
    'external-flood': [500, 2000],
    'postgres-connections-killed': [0, 0],
    'rows-locked': [500, 2500],
  },
} as const satisfies Record<string, Record<string, readonly [number, number]>>

type Row = keyof typeof ROWS
export type FaultKind = { [R in Row]: keyof (typeof ROWS)[R] }[Row]

const FIRST_MS = 1500
const PAUSE_MS = [700, 2200] as const

/** Every kind of a row comes before one comes again. Faults end before the time is up. */
export function makePlan(random: Random, seconds: number, workers: number): PlannedFault[] {
  const plan = Object.values(ROWS).flatMap((row) => planRow(row, random.branch(), seconds * 1000, workers))
  return plan.sort((a, b) => a.atMs - b.atMs)
}

function planRow(
  row: Partial<Record<FaultKind, readonly [number, number]>>,
  random: Random,
  endMs: number,
  workers: number,
): PlannedFault[] {
  const planned: PlannedFault[] = []
  const kinds = Object.keys(row) as FaultKind[]
  let deck: FaultKind[] = []
  let atMs = FIRST_MS + random.between(0, PAUSE_MS[1])
  for (;;) {
    if (deck.length === 0) deck = random.shuffled(kinds)
    const kind = deck.pop() as FaultKind
    const [least, most] = row[kind] as readonly [number, number]
    const forMs = random.between(least, most)
    if (atMs + forMs > endMs) return planned
    planned.push({ kind, atMs, forMs, worker: random.between(0, workers - 1), seed: random.between(0, 2 ** 31) })
    atMs += forMs + random.between(...PAUSE_MS)
  }
}
