// What happens to a shop in one simulation, as plain data that fast-check can make up, shrink and print. Each step makes sense after any other:
// one about an order that does not exist does nothing.

import fc from 'fast-check'

/** Which order, worker or process; counted modulo how many there are. */
type Which = number

/** Milliseconds. */
type Ms = number

export type Step =
  /** An order comes into `from` with its deadline, in one transaction. */
  | { do: 'ship'; after: Ms }
  /** An order that is to be paid: its deadline is `createdAt` plus two minutes. */
  | { do: 'place' }
  | { do: 'schedule' | 'extend'; order: Which; by: Ms }
  | { do: 'cancel'; order: Which }
  /** The shop moves the order itself, into `from` or out of it; the deadline stays on the row. */
  | { do: 'move'; order: Which; to: 2 | 4 | 5 }
  /** Another program writes the deadline, and nobody arms it. */
  | { do: 'write'; order: Which; after: Ms | null }
  /** Another service sets the order's key. */
  | { do: 'setex'; order: Which; after: Ms }
  /** A timer that only Redis knows. */
  | { do: 'call'; id: number; after: Ms }
  | { do: 'uncall'; id: number }
  // Faults. Those with `for` end by themselves.
  | { do: 'start worker' }
  | { do: 'kill worker' | 'stop worker'; worker: Which }
  | { do: 'stand still'; worker: Which; for: Ms }
  | { do: 'cut'; process: Which; server: 'redis' | 'postgres' }
  | { do: 'part'; process: Which; server: 'redis' | 'postgres'; loses: 'requests' | 'replies' | 'both'; for: Ms }
  | { do: 'slow'; process: Which; server: 'redis' | 'postgres'; by: Ms; for: Ms }
  | { do: 'restart Redis'; for: Ms; keeps: 'all' | 'snapshot' | 'nothing' }
  | { do: 'flush Redis' | 'save Redis' }
  | { do: 'freeze'; server: 'redis' | 'postgres'; for: Ms }
  | { do: 'restart Postgres'; for: Ms }
  | { do: 'set clock'; of: 'redis' | 'worker'; worker: Which; ms: Ms }
  | { do: 'lock row'; order: Which; for: Ms }

export interface Story {
  /** Of the network, and of everything else that is random. */
  seed: number
  workers: number
  /** Seconds from one sweep to the next. */
  sweepEvery: 10 | 60
  /** `order_confirm` alone, or every rule. */
  rules: 'one' | 'all'
  /** Each at so many milliseconds after the one before. */
  steps: { after: Ms; step: Step }[]
}

const which = fc.nat({ max: 7 })
const server = fc.constantFrom('redis' as const, 'postgres' as const)
/** Mostly so soon that much else happens about it. */
const soon = fc.oneof(
  { weight: 7, arbitrary: fc.integer({ min: 1, max: 2_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 15_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 90_000 }) },
)
const span = fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1_000, max: 12_000 }))

function one<T extends Step>(weight: number, form: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.WeightedArbitrary<Step> {
  return { weight, arbitrary: fc.record(form) as unknown as fc.Arbitrary<Step> }
}

const is = <T extends string>(...names: T[]) => fc.constantFrom(...names)

const wishes: fc.WeightedArbitrary<Step>[] = [
  one(14, { do: is('ship'), after: soon }),
  one(4, { do: is('place') }),
  one(8, { do: is('schedule', 'extend'), order: which, by: soon }),
  one(4, { do: is('cancel'), order: which }),
  one(5, { do: is('move'), order: which, to: fc.constantFrom(2 as const, 4 as const, 5 as const) }),
  one(3, { do: is('write'), order: which, after: fc.option(soon) }),
  one(3, { do: is('setex'), order: which, after: span }),
  one(5, { do: is('call'), id: fc.nat({ max: 5 }), after: soon }),
  one(1, { do: is('uncall'), id: fc.nat({ max: 5 }) }),
]

const faults: fc.WeightedArbitrary<Step>[] = [
  one(3, { do: is('start worker') }),
  one(4, { do: is('kill worker', 'stop worker'), worker: which }),
  one(2, { do: is('stand still'), worker: which, for: span }),
  one(3, { do: is('cut'), process: which, server }),
  one(4, { do: is('part'), process: which, server, loses: is('requests', 'replies', 'both'), for: span }),
  one(2, { do: is('slow'), process: which, server, by: fc.integer({ min: 1, max: 400 }), for: span }),
  one(2, { do: is('restart Redis'), for: span, keeps: is('all', 'snapshot', 'nothing') }),
  one(2, { do: is('flush Redis', 'save Redis') }),
  one(2, { do: is('freeze'), server, for: span }),
  one(1, { do: is('restart Postgres'), for: span }),
  one(1, { do: is('set clock'), of: is('redis', 'worker'), worker: which, ms: fc.integer({ min: -5_000, max: 5_000 }) }),
  one(2, { do: is('lock row'), order: which, for: span }),
]

function of(steps: fc.WeightedArbitrary<Step>[]): fc.Arbitrary<Story> {
  const gap = fc.oneof(
    { weight: 4, arbitrary: fc.nat({ max: 20 }) },
    { weight: 4, arbitrary: fc.nat({ max: 1_000 }) },
    { weight: 1, arbitrary: fc.nat({ max: 8_000 }) },
  )
  return fc.record({
    seed: fc.nat(),
    workers: fc.integer({ min: 1, max: 2 }),
    sweepEvery: fc.constantFrom(10 as const, 10 as const, 60 as const),
    rules: is('one', 'all'),
    steps: fc.noBias(fc.array(fc.record({ after: gap, step: fc.oneof(...steps) }), { maxLength: 60, size: 'max' })),
  })
}

/** Wishes alone: then every timer must be punctual too. */
export const quietStories = of(wishes)
export const stories = of([...wishes, ...faults])
