// What a rule over rows was declared with, once its options have been parsed: durations are milliseconds, absent options are undefined.

import type { Model, Transaction, WhereOptions } from 'sequelize'
import type { Duration } from '../duration.js'
import type { AfterFunction } from './after.js'

/** The shop's own work on locked instances, in the settling transaction. */
export type Run<M extends Model> = (orders: M[], context: { transaction: Transaction; signal: AbortSignal }) => unknown

/**
 * The shop's own work after the settling transaction has committed. `idempotencyKeys[i]` belongs to `orders[i]` and is the same for
 * every delivery of that settlement.
 */
export type AfterCommit<M extends Model> = (orders: M[], context: { idempotencyKeys: string[]; signal: AbortSignal }) => unknown

/**
 * The answer of `ask` for one order. `true`: nothing can be paid for it any more, so it may be settled. `false`: paid, or it must not be settled; asked
 * again at growing intervals. A duration: asked again after it. An Error: the answer is unknown.
 */
export type Answer = boolean | Duration | Error | { answer: boolean | Duration; reference?: string | undefined }

/**
 * Asks the payment service, outside any transaction. `idempotencyKeys[i]` belongs to `orders[i]`, and is the key of the settlement that follows.
 * @returns one answer for each order, in their order; each may be a promise
 */
export type Ask<M extends Model> = (
  orders: M[],
  context: { signal: AbortSignal; idempotencyKeys: string[] },
) => Promise<readonly (Answer | Promise<Answer>)[]> | readonly (Answer | Promise<Answer>)[]

/** `verify`, parsed. */
export interface DeclaredVerify {
  ask: Ask<Model>
  batch: number
  concurrency: number
  perSecond: number
  timeoutMs: number
}

/** A rule's description for logs: a text, or a function of the order's id. */
export type Description = string | ((id: string) => string)

/** Each order has its own deadline, in a column that only this rule writes. */
export interface DeclaredColumn {
  in: 'column'
  attribute: string
  /** From now to the deadline; undefined if each call says it. */
  after: number | AfterFunction | undefined
  pause: { keep: string; while: WhereOptions | undefined } | undefined
  extensions: { attribute: string; most: number; unit: 'times' | 'ms' } | undefined
  backfill: { since: string | undefined } | undefined
}

/** The deadline is counted from an existing column. */
export interface DeclaredSince {
  in: 'since'
  attribute: string
  afterMs: number
}

/** The deadline is only in Redis; the row says only whether the rule applies. */
export interface DeclaredRedis {
  in: 'redis'
  /** From now to the deadline; undefined if each call says it. */
  afterMs: number | undefined
}

export type DeclaredDeadline = DeclaredColumn | DeclaredSince | DeclaredRedis

/** The common options of `transition` and `effect`, parsed. */
export interface RowOptions {
  kind: string
  deadline: DeclaredDeadline
  where: WhereOptions | undefined
  run: Run<Model> | undefined
  afterCommit: AfterCommit<Model> | undefined
  history: boolean
  description: Description | undefined
  attempts: number
  timeoutMs: number
  staleAfterMs: number
  reminders: readonly { beforeMs: number; label: string; run: AfterCommit<Model>; staleAfterMs: number }[]
  dryRun: boolean
  brake: { max: number; perMs: number } | undefined
  verify: DeclaredVerify | undefined
}

/** The properties of a deadline in a column; undefined for any other rule. */
export function columnOf({ deadline }: RowOptions): DeclaredColumn | undefined {
  return deadline.in === 'column' ? deadline : undefined
}
