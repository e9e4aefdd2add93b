// What is known of orders under `verify`: those that are to be asked about, what was answered, and those that wait for an answer.

import type { Model } from 'sequelize'

/** An order that is due, as `ask` is to be asked about it. */
export interface AskableOrder {
  id: string
  order: Model
  xmin: string
  deadlineMs: number | null
  /** How often it was asked about, and how often in a row the answer was `false`. */
  times: number
  falses: number
  /** Until it may be asked about again, milliseconds; 0 where that is now. */
  waitMs: number
  /** A person's word that it be settled all the same. */
  waived: { at: string; by: string; reason: string } | undefined
  /** Such a word that no longer counts, since the row was written after it: the xmin that it was given for. */
  voidWord: string | undefined
}

/** An answer that is not `true`, to be kept. */
export interface NotedAnswer {
  id: string
  /** Until it is asked about again. */
  waitMs: number
  /** `false`, or a duration; undefined where it could not be found out. */
  answer?: string | undefined
  error?: string | undefined
  reference?: string | undefined
  xmin: string
  voidWord: string | undefined
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

/** The orders of a rule that wait for an answer. */
export interface UnverifiedSummary {
  count: number
  /** Since when the first of them waits. */
  since: Date | null
  /** When one is asked about next. */
  next: Date | null
  lastError: string | null
  /** Of how many the last answers, three or more, were `false`; and one of them. */
  refused: number
  refusedId: string | null
}
