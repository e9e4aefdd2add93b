// What the shop asked for, and what it was told: acknowledged, refused, or unknown where Postgres went away in the middle. Unknown may
// count either way; what was acknowledged must hold. `expectations` says of each order what must have become of it.

export type Outcome = 'acknowledged' | 'refused' | 'unknown'
export type Wish = 'schedule' | 'extend' | 'cancel' | 'confirm by hand' | 'leave'

export interface Entry {
  id: number
  wish: Wish
  outcome: Outcome
  /** The deadline that was acknowledged, milliseconds since 1970. */
  deadline: number | null
}

/** A deadline by which the worker must have settled the order; none, so that it must not have; or nobody can say. */
export type Expectation = { deadline: number } | 'none' | 'unsure'

/** Each acknowledged wish settles the matter anew; a refused one changes nothing. */
export function expectations(history: readonly Entry[]): Map<number, Expectation> {
  const expected = new Map<number, Expectation>()
  for (const { id, outcome, deadline } of history) {
    if (outcome === 'unknown') expected.set(id, 'unsure')
    if (outcome === 'acknowledged') expected.set(id, deadline === null ? 'none' : { deadline })
  }
  return expected
}

export function countAcknowledged(history: readonly Entry[], wish: Wish): number {
  return history.filter((entry) => entry.wish === wish && entry.outcome === 'acknowledged').length
}
