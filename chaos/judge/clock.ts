// Postgres's clock as the package sees it, at an instant of the clock that no fault moves.

import type { Run } from './run.js'

export function productClock({ clockMoves }: Pick<Run, 'clockMoves'>, trueAt: number): number {
  return trueAt + (clockMoves.filter(({ at }) => at <= trueAt).at(-1)?.offsetMs ?? 0)
}
