// A refused request: its HTTP status, a code for the page, and a sentence.

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

/** The refusal for an error. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof OrderTimersError) return new Refusal(error.status, error.code, error.message)
  return new Refusal(503, 'FAILED', errorText(error))
}
