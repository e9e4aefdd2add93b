// What a call was refused with, whole, so that a test holds the code, the status and every word of the message.

import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { OrderTimersError } from '../../lib/index.js'

export interface Refusal {
  code: string
  status: number
  expose: boolean
  message: string
}

/** Fails unless the call throws, or rejects with, an error of this package. */
export async function refused(call: () => unknown): Promise<Refusal> {
  let result: unknown
  try {
    result = await call()
  } catch (error) {
    assert.ok(error instanceof OrderTimersError, `not one of our errors: ${inspect(error)}`)
    const { code, status, expose, message } = error
    return { code, status, expose, message }
  }
  return assert.fail(`it was not refused and gave ${inspect(result, { depth: 1 })}`)
}

/** A refusal as expected. What a client got wrong may be shown to it, everything else may not. */
export function refusal(name: string, status: number, message: string): Refusal {
  return { code: `ERR_ORDER_TIMERS_${name}`, status, expose: status < 500, message }
}
