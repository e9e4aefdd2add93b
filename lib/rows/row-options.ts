// What a rule over rows was declared with, once its options have been parsed: durations are milliseconds, absent options are undefined.

import type { Model, Transaction, WhereOptions } from 'sequelize'
import type { AfterFunction } from './after.js'

/** The shop's own work on locked instances, in the settling transaction. */
export type Run<M extends Model> = (orders: M[], context: { transaction: Transaction; signal: AbortSignal }) => unknown

/**
 * The shop's own work after the settling transaction has committed. `idempotencyKeys[i]` belongs to `orders[i]` and is the same for
 * every delivery of that settlement.
 */
export type AfterCommit<M extends Model> = (orders: M[], context: { idempotencyKeys: string[]; signal: AbortSignal }) => unknown

/** How a rule speaks of itself in logs: a text, or a function of the order's id. */
export type Description = string | ((id: string) => string)

/** Each order has a deadline of its own, in a column that this rule alone writes. */
export interface DeclaredColumn {
  in: 'column'
  attribute: string
  /** From now to the deadline; undefined where each call says it. */
  after: number | AfterFunction | undefined
  pause: { keep: string; while: WhereOptions | undefined } | undefined
  extensions: { attribute: string; most: number; unit: 'times' | 'ms' } | undefined
  backfill: { since: string | undefined } | undefined
}

/** The deadline is counted from a column that the table has already. */
export interface DeclaredSince {
  in: 'since'
  attribute: string
  afterMs: number
}

/** The deadline is in Redis alone; the row says only whether the rule applies. */
export interface DeclaredRedis {
  in: 'redis'
  /** From now to the deadline; undefined where each call says it. */
  afterMs: number | undefined
}

export type DeclaredDeadline = DeclaredColumn | DeclaredSince | DeclaredRedis

/** The options of `transition` and `effect` that both have, parsed. */
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
}

/** What only a deadline in a column has; undefined of any other rule. */
export function columnOf({ deadline }: RowOptions): DeclaredColumn | undefined {
  return deadline.in === 'column' ? deadline : undefined
}
