// What is asked of claims in the due index, and what they answer.

/** The result of a claim. */
export interface Claim {
  token: string
  ids: string[]
}

/** The result of a sweep's claim. */
export type Look = 'first' | 'second'

export interface OverdueClaim extends Claim {
  /** How many were skipped because they were settled a moment ago. */
  settledBefore: number
}

/** `unknown`: those of which it is not known whether their keys were set again. */
export type ExpiredClaim = Claim & { unknown: string[] }

/** By id, when its expiry event was heard, by `performance.now()`; one that is left out, now. */
export type HeardAt = ReadonlyMap<string, number>

export interface ClaimOptions {
  /** How many timers at most. */
  limit: number
  leaseMs: number
  /** Added to Redis's clock, milliseconds. */
  skewMs: number
  /** For a cluster's index. */
  partition?: number
  /** Whether a sweep covers the rule. Default: true. */
  isSwept?: boolean
}

export interface ClaimAnswer extends Claim {
  /** Milliseconds, each for the id at the same index; ascending. */
  deadlines: number[]
  /** Redis's clock, milliseconds. */
  now: number
  /** The next deadline in the index, milliseconds; undefined if it is empty. */
  next: number | undefined
  /** Whether keys of a burst are left for the next claim to remove. */
  burstLeft: boolean
  /** When the first lease of another claim ends, milliseconds of Redis's clock; undefined if there is none. */
  leaseEnds: number | undefined
  /** The index has lost data, and this worker must restore it. */
  lost: boolean
}

/** The kind of tombstones for settled timers: those of external keys expire sooner, and those of rules that no sweep covers have none ('') */
export type Tombstone = 'settled' | 'external' | ''
