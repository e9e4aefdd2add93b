// Postgres's clock as the package sees it: a fault may move it.

import type { Run } from './run.js'

/** Until the first move, the clock is right. */
const NEVER_MOVED = { at: Number.NEGATIVE_INFINITY, offsetMs: 0 }

/** A transaction reads the clock when it begins; if the clock is set back before it writes, the ledger shows the later reading. */
const TRANSACTION_MS = 35_000

/** Its reading at an instant of the clock that no fault moves. */
export function productClock({ clockMoves }: Pick<Run, 'clockMoves'>, trueAt: number): number {
  return trueAt + (clockMoves.filter(({ at }) => at <= trueAt).at(-1)?.offsetMs ?? 0)
}

/** When it may have shown this reading, by the clock that no fault moves: a clock that was moved shows some readings twice. */
export function trueTimes({ clockMoves }: Pick<Run, 'clockMoves'>, reading: number): number[] {
  return [NEVER_MOVED, ...clockMoves].flatMap(({ at, offsetMs }, index) => {
    const trueAt = reading - offsetMs
    const endedAt = clockMoves[index]?.at ?? Number.POSITIVE_INFINITY
    return trueAt >= at - TRANSACTION_MS && trueAt <= endedAt + TRANSACTION_MS ? [trueAt] : []
  })
}

/** Readings are whole milliseconds, and what the clock was moved by is measured. */
const ROUNDING_MS = 5

/** Whether it may have shown this reading between two instants of the clock that no fault moves. */
export function mayHaveShown(run: Pick<Run, 'clockMoves'>, reading: number, fromMs: number, toMs: number): boolean {
  return trueTimes(run, reading).some((trueAt) => trueAt >= fromMs - ROUNDING_MS && trueAt <= toMs + ROUNDING_MS)
}

/** The latest reading of Postgres's clock that the settling transaction may have had. */
export function latestClock({ clockMoves }: Pick<Run, 'clockMoves'>, at: number, trueAt: number): number {
  const before = [NEVER_MOVED, ...clockMoves].filter((move) => move.at <= trueAt)
  const offsets = before.flatMap(({ offsetMs }, index) => ((before[index + 1]?.at ?? trueAt) >= trueAt - TRANSACTION_MS ? [offsetMs] : []))
  return Math.max(at, ...offsets.map((offsetMs) => trueAt + offsetMs))
}
