// `transition(Model, …)`: orders in `from` move to `to` by their deadline. This file owns its options and what they mean; the
// statements are in settlement.ts, deadline-writes.ts and pending-rows.ts.

import type { Model, WhereOptions } from 'sequelize'
import { type Duration, parseDuration } from '../duration.js'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'
import { DeadlineWrites } from './deadline-writes.js'
import { type ModelSource, OrderTable } from './order-table.js'
import { PendingRows } from './pending-rows.js'
import { RowGuard } from './row-guard.js'
import type { BoundRule, DeclaredRule, Description, Rule, RuleForm } from './rule.js'
import { type Run, SettlementStatement } from './settlement.js'

type Status = number | string
type Attribute<M extends Model> = keyof M['_attributes'] & string

interface CommonOptions<M extends Model> {
  /** The status, or the statuses, that the rule applies to. */
  from: Status | readonly Status[]
  /** The status that the order gets when its deadline has passed. */
  to: Status
  /** The attribute with the status. Default: `status`. */
  status?: Attribute<M>
  /** More that must hold on the row, as a Sequelize `where`. An order that it holds back stays until it holds no longer. */
  where?: WhereOptions<M['_attributes']>
  /** More to write, such as `{ confirmedBy: 'timer' }`; expressions such as `fn('now')` too. */
  set?: Partial<Record<Attribute<M>, unknown>>
  /** Runs in the settling transaction with the locked, updated instances: once for each order, and undone with it when it throws. */
  run?: Run<M>
  /** For logs: a text, or a function of the order's id. */
  description?: Description
  /** Failed attempts of this rule's own until the timer is a dead letter. Default: 25. */
  attempts?: number
  /** Until work in hand is given up and counted as a failed attempt. Default: 30 s. */
  timeout?: Duration
  /** What is overdue by more is reported and not settled. Default: 7 days. */
  staleAfter?: Duration
}

/** Each order has a deadline of its own, on its row: durable, and it can be extended and cancelled. */
export interface DeadlineOptions<M extends Model> extends CommonOptions<M> {
  /** The attribute with the deadline: DATE, null where there is no timer. */
  deadline: Attribute<M>
  /** From `schedule` to the deadline, unless `schedule` is told otherwise. */
  after?: Duration
  since?: never
}

/** The deadline is counted from a column that the table has already. */
export interface SinceOptions<M extends Model> extends CommonOptions<M> {
  /** The attribute that the deadline is counted from, such as `createdAt`. */
  since: Attribute<M>
  after: Duration
  deadline?: never
}

/** The old recipe: the deadline is in Redis alone, and as durable as Redis is; the status alone guards the row. */
export interface RedisOnlyOptions<M extends Model> extends CommonOptions<M> {
  deadline: false
  after?: Duration
  since?: never
}

export type TransitionOptions<M extends Model> = DeadlineOptions<M> | SinceOptions<M> | RedisOnlyOptions<M>

type FormOfOptions<O> = O extends { deadline: false } ? 'redis' : O extends { since: string } ? 'since' : 'deadline'

const OPTIONS = [
  'from',
  'to',
  'status',
  'where',
  'set',
  'run',
  'description',
  'attempts',
  'timeout',
  'staleAfter',
  'deadline',
  'since',
  'after',
]
const DEFAULT_STALE_AFTER = '7d'
const BATCH = 1_000
/** Instances cost far more than rows, and `run` does the shop's own work for each. */
const BATCH_WITH_RUN = 100

/**
 * A rule: orders whose status is (among) `from` get the status `to` when their deadline has passed.
 * Looks at nothing yet; wrong options throw when the rule is handed to `orderTimers`, the model is looked at when first used.
 */
export function transition<M extends Model, const O extends TransitionOptions<M> = TransitionOptions<M>>(
  model: ModelSource<M>,
  options: O & TransitionOptions<M> & { [Misspelt in Exclude<keyof O, keyof TransitionOptions<M>>]: never },
): Rule<FormOfOptions<O>, M> {
  return {
    form: formOf(options) as FormOfOptions<O>,
    declare: (kind) => declare(kind, model, options as unknown as TransitionOptions<Model>),
  }
}

function formOf(options: { deadline?: unknown; since?: unknown }): RuleForm {
  if (options?.deadline === false) return 'redis'
  return options?.since === undefined ? 'deadline' : 'since'
}

function declare(kind: string, source: unknown, options: TransitionOptions<Model>): DeclaredRule {
  const rule = `rule "${kind}"`
  const invalid = (message: string) => new OrderTimersError('INVALID_OPTION', `orderTimers: ${rule}: ${message}`)
  if (typeof source !== 'function')
    throw invalid(`transition() takes a Sequelize model, or a function that returns it, got ${show(source)}`)
  if (options === null || typeof options !== 'object') throw invalid(`transition() takes its options as an object, got ${show(options)}`)
  refuseUnknownOptions(`orderTimers: ${rule}`, options, OPTIONS)

  const from = Array.isArray(options.from) ? options.from : [options.from]
  if (from.length === 0 || !from.every(isStatus)) throw invalid(`"from" must be a status or several, got ${show(options.from)}`)
  if (!isStatus(options.to)) throw invalid(`"to" must be a status, got ${show(options.to)}`)
  if (from.some((status) => String(status) === String(options.to))) {
    throw invalid(
      `"to" must not be among "from", since an order would be settled again and again; got from ${show(options.from)} to ${show(options.to)}`,
    )
  }

  const form = formOf(options)
  const { deadline, since, status = 'status' } = options
  if ((deadline === undefined) === (since === undefined)) {
    throw invalid(
      `exactly one of "deadline" and "since" must be given, got ${deadline === undefined ? 'neither' : 'both'}; "deadline: false" keeps deadlines in Redis alone`,
    )
  }
  for (const [name, value] of Object.entries({ status, deadline: deadline === false ? undefined : deadline, since })) {
    if (value !== undefined && (typeof value !== 'string' || value === ''))
      throw invalid(`"${name}" must be the name of an attribute, got ${show(value)}`)
  }
  for (const name of Object.keys(options.set ?? {})) {
    if (name === status || name === deadline) throw invalid(`"set" must not write ${show(name)}, which the rule writes itself`)
  }
  if (options.run !== undefined && typeof options.run !== 'function') throw invalid(`"run" must be a function, got ${show(options.run)}`)

  const attempts = options.attempts ?? 25
  if (!Number.isSafeInteger(attempts) || attempts < 1) throw invalid(`"attempts" must be a whole number from 1, got ${show(attempts)}`)
  const duration = (name: 'after' | 'timeout' | 'staleAfter', fallback: Duration) =>
    parseDuration(`orderTimers: ${rule}: "${name}"`, options[name] ?? fallback)
  if (form === 'since' && options.after === undefined)
    throw invalid(`"after" must say how long after "${since}" the deadline is, such as '15m'`)
  const afterMs = options.after === undefined ? undefined : duration('after', options.after)
  const timeoutMs = duration('timeout', '30s')
  const staleAfterMs = duration('staleAfter', DEFAULT_STALE_AFTER)

  const bind = (): BoundRule => {
    const table = OrderTable.of(kind, source as ModelSource<Model>)
    const guard = new RowGuard(table, {
      status,
      from,
      to: options.to,
      where: options.where,
      deadline: deadlineSource(deadline, since, afterMs),
      staleAfterMs,
    })
    const cleared = deadline ? [`${table.bareColumn(deadline)} = NULL`] : []
    const assignments = [...cleared, ...table.bookkeeping(), ...table.assignments(options.set ?? {})]
    const limits = { lockMs: 300, statementMs: timeoutMs, idleMs: timeoutMs + 5_000 }
    const statement = new SettlementStatement({ guard, assignments, status, limits, run: options.run })
    return {
      kind,
      form,
      description: options.description,
      parseId: table.parseId,
      runsOwnCode: options.run !== undefined,
      batchSize: options.run ? BATCH_WITH_RUN : BATCH,
      timeoutMs,
      afterMs,
      attempts,
      row: {
        guard,
        writes: new DeadlineWrites(kind, guard, status, deadline || undefined),
        pending: form === 'redis' ? undefined : new PendingRows(guard),
        since: since === undefined ? undefined : { attribute: since, afterMs: afterMs as number },
        deadlineAttribute: deadline || undefined,
      },
      settle: (ids, work) => statement.settle(ids, work),
    }
  }
  return { kind, form, deadline: deadline ? { source, attribute: deadline } : undefined, afterMs, bind }
}

function deadlineSource(deadline: string | false | undefined, since: string | undefined, afterMs: number | undefined) {
  if (deadline) return { option: '"deadline"' as const, attribute: deadline, plusMs: 0 }
  if (since !== undefined) return { option: '"since"' as const, attribute: since, plusMs: afterMs as number }
  return undefined
}

function isStatus(value: unknown): value is Status {
  return (typeof value === 'string' && value !== '') || Number.isSafeInteger(value)
}
