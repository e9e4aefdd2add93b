// An answer that is not the one that was asked for: its HTTP status, a code for the page, and a sentence.

import { errorText } from '../error-text.js'
import { OrderTimersError } from '../errors.js'

export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** What the page is told of an error. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof OrderTimersError) return new Refusal(error.status, error.code, error.message)
  return new Refusal(503, 'FAILED', errorText(error))
}
