// Types for orders under `verify`: those to ask about, the answers, and those that wait for an answer.

import type { Model } from 'sequelize'

/** A due order about which `ask` must be asked. */
export interface AskableOrder {
  id: string
  order: Model
  xmin: string
  deadlineMs: number | null
  /** How often it was asked about, and how many times in a row the answer was `false`. */
  times: number
  falses: number
  /** Until it may be asked about again, milliseconds; 0 where that is now. */
  waitMs: number
  /** An operator's decision that it be settled without an answer. */
  waived: { at: string; by: string; reason: string } | undefined
  /** The xmin of such a decision that no longer counts, because the row was written after it. */
  voidWord: string | undefined
}

/** An answer other than `true`, to be stored. */
export interface NotedAnswer {
  id: string
  /** Milliseconds until it is asked about again. */
  waitMs: number
  /** `false`, or a duration; undefined if the answer is unknown. */
  answer?: string | undefined
  error?: string | undefined
  reference?: string | undefined
  xmin: string
  voidWord: string | undefined
}

/** A page of the orders to ask about again now. */
export interface DueAgain {
  ids: string[]
  /** In milliseconds, rounded up; each for the id at the same index. */
  deadlines: number[]
  nextMs: number | undefined
  /** Where the next page begins; undefined if this one is empty. */
  last: AgainKey | undefined
}

/** `next` as text, with full precision. */
export interface AgainKey {
  id: string
  next: string
}

/** An order that waits for an answer. */
export interface UnverifiedOrder {
  next: Date
  times: number
  since: Date
  answer: string | null
  error: string | null
  reference: string | null
}

/** The orders of a rule that wait for an answer; of more than 10,000, the first 10,001. */
export interface UnverifiedSummary {
  count: number
  /** When the first of them began to wait. */
  since: Date | null
  /** When one is asked about next. */
  next: Date | null
  lastError: string | null
  /** How many had `false` for an answer three or more times in a row; and one of them. */
  refused: number
  refusedId: string | null
}
