// One call of a rule's `ask`: its time limit, and the parsing of its answers. No answer is used unless there is one for each order.

import type { Model } from 'sequelize'
import { type Duration, inUnits, parseDuration } from '../../duration.js'
import { OrderTimersError, show } from '../../errors.js'
import type { Answer, DeclaredVerify } from '../../rows/row-options.js'
import { afterRunning } from '../../wait.js'

/** The answer for one order. `waitMs` comes from a duration. */
export type Answered =
  | { answer: true; reference?: string | undefined }
  | { answer: false | Duration; waitMs: number | undefined; reference?: string | undefined }
  | { error: unknown }

export interface Question {
  kind: string
  orders: Model[]
  idempotencyKeys: string[]
}

/** The longest wait that a payment service may request. */
const LONGEST_RETRY_MS = 86_400_000

/**
 * @param leaving once it is aborted, later answers are discarded
 * @returns in the orders' order
 * @throws what `ask` throws; OrderTimersError ASK_TIMED_OUT, INVALID_ANSWER; the reason of `leaving`
 */
export async function ask(
  { ask: call, timeoutMs }: DeclaredVerify,
  { kind, orders, idempotencyKeys }: Question,
  leaving: AbortSignal,
): Promise<Answered[]> {
  const attempt = new AbortController()
  const leave = () => attempt.abort(leaving.reason)
  const cancel = afterRunning(timeoutMs, () => attempt.abort(timedOut(kind, timeoutMs, orders.length)))
  const aborted = new Promise<never>((_, reject) => {
    attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason))
  })
  aborted.catch(() => {})
  leaving.addEventListener('abort', leave)
  try {
    leaving.throwIfAborted()
    return await Promise.race([answers(call, { kind, orders, idempotencyKeys }, attempt.signal), aborted])
  } finally {
    cancel()
    leaving.removeEventListener('abort', leave)
  }
}

async function answers(call: DeclaredVerify['ask'], { kind, orders, idempotencyKeys }: Question, signal: AbortSignal): Promise<Answered[]> {
  const given: unknown = await call(orders, { signal, idempotencyKeys })
  if (!Array.isArray(given)) throw invalidAnswer(kind, `must answer with an array of one answer for each order, got ${show(given)}`)
  const each = await Promise.allSettled(given)
  if (given.length !== orders.length)
    throw invalidAnswer(kind, `must answer once for each order: it was asked about ${orders.length} and answered ${given.length}`)
  return each.map((one, i) => (one.status === 'rejected' ? { error: one.reason } : read(kind, idempotencyKeys[i] as string, one.value)))
}

function read(kind: string, key: string, given: Answer | undefined): Answered {
  if (given instanceof Error) return { error: given }
  const isObject = given !== null && typeof given === 'object'
  const answer: unknown = isObject ? given.answer : given
  const reference = isObject && given.reference !== undefined ? String(given.reference).slice(0, 500) : undefined
  if (answer === true) return { answer, reference }
  if (answer === false) return { answer, waitMs: undefined, reference }
  try {
    return {
      answer: answer as Duration,
      waitMs: parseDuration(`orderTimers: rule "${kind}": an answer of "verify.ask"`, answer),
      reference,
    }
  } catch {
    const shape = "must be true, false, a duration such as '5m', an Error, or { answer, reference }"
    return { error: invalidAnswer(kind, `${shape}; of ${key} it answered ${show(given)}`) }
  }
}

/** The wait that the payment service requests, in milliseconds: `retryAfter` in seconds, or a duration. */
export function retryAfterMs(error: unknown): number | undefined {
  try {
    const given: unknown = error !== null && typeof error === 'object' ? Reflect.get(error, 'retryAfter') : undefined
    if (given === undefined || given === null || given === '' || typeof given === 'boolean') return undefined // `Number` makes 0 of some
    const seconds = Number(given)
    if (Number.isFinite(seconds) && seconds >= 0) return Math.min(LONGEST_RETRY_MS, seconds * 1000)
    return Math.min(LONGEST_RETRY_MS, parseDuration('retryAfter', given))
  } catch {
    return undefined
  }
}

function timedOut(kind: string, timeoutMs: number, count: number): OrderTimersError {
  const what = `"verify.ask" did not answer within ${inUnits(timeoutMs)} (${count} ${count === 1 ? 'order' : 'orders'})`
  const remedy = 'give "verify.timeout" more, or "verify.batch" less; its signal is aborted then'
  return new OrderTimersError('ASK_TIMED_OUT', `orderTimers: rule "${kind}": ${what}; ${remedy}`)
}

function invalidAnswer(kind: string, what: string): OrderTimersError {
  return new OrderTimersError('INVALID_ANSWER', `orderTimers: rule "${kind}": "verify.ask" ${what}`)
}
