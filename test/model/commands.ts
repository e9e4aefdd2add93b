// What may happen to a shop, as plain data, so that fast-check can make it up, shrink it and print it. Each makes sense after any other:
// one about an order that was never shipped does nothing.

import fc from 'fast-check'

/** Which of the orders of a run. */
type Slot = number

export type Command =
  /** An order comes into `from` with its deadline, in one transaction. */
  | { do: 'ship'; order: Slot; after: number }
  | { do: 'schedule'; order: Slot; after: number }
  | { do: 'extend'; order: Slot; by: number }
  | { do: 'cancel'; order: Slot }
  /** By hand, knowing nothing of timers: the deadline stays on the row. */
  | { do: 'confirm' | 'leave'; order: Slot }
  /** Into `from` again, with a new deadline or with whatever stands on the row. */
  | { do: 'come back'; order: Slot; after: number | null }
  /** The order's key expires far too early, set by somebody else. */
  | { do: 'hint'; order: Slot }
  | { do: 'wait'; ms: number }
  /** Postgres's clock is set, so far off the true time. */
  | { do: 'set clock'; ms: number }
  | { do: 'flush Redis' }
  | { do: 'start worker' }
  | { do: 'stop worker' | 'crash worker'; worker: number }

export interface Story {
  /** How far the clock of this process, the shop's and the workers', is off. */
  processClockMs: number
  commands: Command[]
}

const SLOTS = 6
const MOST_COMMANDS = 60

const order = fc.nat({ max: SLOTS - 1 })
const after = fc.integer({ min: 1, max: 700 })
const worker = fc.nat({ max: 1 })

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('ship'), order, after }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('schedule'), order, after }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('extend'), order, by: fc.integer({ min: 1, max: 400 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('cancel'), order }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('confirm', 'leave'), order }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('come back'), order, after: fc.option(after) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('hint'), order }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('wait'), ms: fc.integer({ min: 1, max: 300 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('set clock'), ms: fc.integer({ min: -600, max: 600 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('flush Redis') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('start worker') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop worker'), worker }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('crash worker'), worker }) },
)

export const stories: fc.Arbitrary<Story> = fc.record({
  processClockMs: fc.constantFrom(0, 3_600_000, -3_600_000),
  commands: fc.array(command, { maxLength: MOST_COMMANDS, size: 'max' }),
})
