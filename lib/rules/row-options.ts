// The options that `transition` and `effect` share: what a shop may write, and what it is once it has been looked at. The model is not touched.

import type { Model, WhereOptions } from 'sequelize'
import { A_SECOND_AT_LEAST, type Duration, type DurationBounds, parseDuration, WAITING_BOUNDS } from '../duration.js'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'
import type { AfterCommit, Description, RowOptions, Run } from '../rows/row-options.js'
import type { RowForm } from './form.js'

export type Attribute<M extends Model> = keyof M['_attributes'] & string

/** How long from now to the deadline; a function of the order may also say null: this order never times out. */
export type After<M extends Model> = Duration | ((order: M) => Duration | null)

export interface Reminder<M extends Model> {
  /** How long before the deadline. */
  before: Duration
  /** At most once for each deadline, with up to 100 orders at once: where it throws, none of them is told again. `idempotencyKeys[i]` belongs to `orders[i]`. */
  run: AfterCommit<M>
  /** A reminder that is late by more is dropped. Default: half of `before`. */
  staleAfter?: Duration
}

export interface CommonOptions<M extends Model> {
  /** More that must hold on the row, as a Sequelize `where`. An order that it holds back stays until it holds no longer. */
  where?: WhereOptions<M['_attributes']>
  /** Runs in the settling transaction with the locked, updated instances: once for each order, and undone with it when it throws. */
  run?: Run<M>
  /**
   * Runs after the commit, with up to 100 orders at once: best effort, and with `history` at least once, even when the worker died right after
   * the commit; what failed is told again one by one, until `attempts`. The worker's next batches of this rule wait for it.
   */
  afterCommit?: AfterCommit<M>
  /** Writes what happened into the table `order_timers_history`, in the same transaction. */
  history?: boolean
  /** For logs: a text, or a function of the order's id. */
  description?: Description
  /** Failed attempts of this rule's own until the timer is a dead letter. Default: 25. */
  attempts?: number
  /** Until work in hand is given up and counted as a failed attempt. Default: 30 s; from 100 ms to a day. */
  timeout?: Duration
  /** What is overdue by more is reported and not settled. Default: 7 days. */
  staleAfter?: Duration
  /** Told so long before the deadline, at most once for each deadline, and never after the order left. Needs `history`. */
  reminders?: readonly Reminder<M>[]
  /** Does all but the UPDATE: says in the log and by the event `dryRun` what would be settled. */
  dryRun?: boolean
  /** Stops the rule when it would settle more than `max` orders within `per`, counted in Postgres, until it is released. */
  brake?: { max: number; per: Duration }
}

/** Each order has a deadline of its own, on its row: durable, and it can be extended and cancelled. */
export interface DeadlineForm<M extends Model> {
  /** The attribute with the deadline: DATE, null where there is no timer. */
  deadline: Attribute<M>
  /** From `schedule` to the deadline, unless `schedule` is told otherwise; also as a function of the order. */
  after?: After<M>
  /** `keep` names the attribute (BIGINT) that keeps the milliseconds left; `while` pauses by itself as long as it holds on the row. */
  pause?: { keep: Attribute<M>; while?: WhereOptions<M['_attributes']> }
  /** How often a deadline may be extended; counted in the attribute that `extended` names. */
  maxExtensions?: number
  /** How much may be added by extending, in all; counted in the attribute that `extended` names, in milliseconds. */
  maxTotal?: Duration
  /** The attribute (INTEGER, or BIGINT for `maxTotal`) in which extensions are counted. */
  extended?: Attribute<M>
  /** Orders in `from` without a deadline get one from the sweep: `after` from now, or from the attribute that `since` names. */
  backfill?: boolean | { since: Attribute<M> }
  since?: never
}

/** The deadline is counted from a column that the table has already. */
export interface SinceForm<M extends Model> {
  /** The attribute that the deadline is counted from, such as `createdAt`. */
  since: Attribute<M>
  after: Duration
  deadline?: never
}

/** The old recipe: the deadline is in Redis alone, and as durable as Redis is; the status alone guards the row. */
export interface RedisForm {
  deadline: false
  after?: Duration
  since?: never
}

export const COMMON = [
  ...['where', 'run', 'afterCommit', 'history', 'description', 'attempts', 'timeout', 'staleAfter', 'reminders', 'dryRun', 'brake'],
  ...['deadline', 'since', 'after', 'pause', 'maxExtensions', 'maxTotal', 'extended', 'backfill'],
]

/** What has to do with an order's deadline being its own, and so with no other form. */
const OF_DEADLINE = ['pause', 'maxExtensions', 'maxTotal', 'extended', 'backfill'] as const

const DEFAULT = { attempts: 25, timeout: '30s', staleAfter: '7d' } as const

type Given = { [name: string]: unknown }

export function invalidRule(kind: string, message: string): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `orderTimers: rule "${kind}": ${message}`)
}

export function formOf(options: { deadline?: unknown; since?: unknown }): RowForm {
  if (options?.deadline === false) return 'redis'
  return options?.since === undefined ? 'deadline' : 'since'
}

/**
 * Looks at everything that does not need the model.
 * @throws OrderTimersError INVALID_OPTION, INVALID_DURATION
 */
export function parseRowOptions(kind: string, source: unknown, options: unknown, maker: string, known: readonly string[]): RowOptions {
  const invalid = (message: string) => invalidRule(kind, message)
  if (typeof source !== 'function') throw invalid(`${maker}() takes a Sequelize model, or a function that returns it, got ${show(source)}`)
  if (options === null || typeof options !== 'object') throw invalid(`${maker}() takes its options as an object, got ${show(options)}`)
  refuseUnknownOptions(`orderTimers: rule "${kind}"`, options, known)
  return new Parser(kind, options as Given).parse()
}

class Parser {
  private readonly form: RowForm

  constructor(
    private readonly kind: string,
    private readonly options: Given,
  ) {
    this.form = formOf(options)
  }

  parse(): RowOptions {
    const { form, options } = this
    const { deadline, since } = options
    if ((deadline === undefined) === (since === undefined)) {
      const given = deadline === undefined ? 'neither' : 'both'
      const remedy = '"deadline: false" keeps deadlines in Redis alone'
      throw this.invalid(`exactly one of "deadline" and "since" must be given, got ${given}; ${remedy}`)
    }
    if (deadline !== false) this.attribute('deadline', deadline)
    this.attribute('since', since)
    for (const name of OF_DEADLINE) {
      if (options[name] === undefined || form === 'deadline') continue
      throw this.invalid(`"${name}" needs a deadline on the row; give "deadline" the name of an attribute, got ${show(options[name])}`)
    }
    for (const name of ['run', 'afterCommit']) this.isFunction(`"${name}"`, options[name])
    const after = this.after()
    return {
      kind: this.kind,
      form,
      deadline: (deadline || undefined) as string | undefined,
      since: since as string | undefined,
      after,
      where: this.condition('"where"', options.where),
      run: options.run as RowOptions['run'],
      afterCommit: options.afterCommit as RowOptions['afterCommit'],
      history: this.flag('history'),
      description: options.description as RowOptions['description'],
      attempts: options.attempts === undefined ? DEFAULT.attempts : this.count('"attempts"', options.attempts),
      timeoutMs: this.duration('"timeout"', options.timeout ?? DEFAULT.timeout, { ...WAITING_BOUNDS, leastMs: 100 }),
      staleAfterMs: this.duration('"staleAfter"', options.staleAfter ?? DEFAULT.staleAfter, A_SECOND_AT_LEAST),
      pause: this.pause(),
      extensions: this.extensions(),
      backfill: this.backfill(after),
      reminders: this.reminders(),
      dryRun: this.flag('dryRun'),
      brake: this.brake(),
    }
  }

  private after(): RowOptions['after'] {
    const { after } = this.options
    if (after === undefined && this.form !== 'since') return undefined
    if (after === undefined) throw this.invalid(`"after" must say how long after "${this.options.since}" the deadline is, such as '15m'`)
    if (typeof after !== 'function') return this.duration('"after"', after)
    if (this.form !== 'deadline')
      throw this.invalid(`"after" may be a function of the order only with "deadline: 'attribute'", which keeps what it said`)
    return after as (order: Model) => Duration | null
  }

  private pause(): RowOptions['pause'] {
    const given = this.object('"pause"', this.options.pause, "such as { keep: 'confirmLeftMs' }", ['keep', 'while'])
    if (!given) return undefined
    const keep = this.attribute('pause.keep', given.keep ?? null) as string
    return { keep, while: this.condition('"pause.while"', given.while) }
  }

  private extensions(): RowOptions['extensions'] {
    const { maxExtensions, maxTotal, extended } = this.options
    if (maxExtensions === undefined && maxTotal === undefined) {
      if (extended !== undefined) throw this.invalid(`"extended" counts for "maxExtensions" or "maxTotal", and neither is given`)
      return undefined
    }
    if (maxExtensions !== undefined && maxTotal !== undefined)
      throw this.invalid(`one of "maxExtensions" and "maxTotal" may be given, got both`)
    const name = maxTotal === undefined ? 'maxExtensions' : 'maxTotal'
    if (extended === undefined)
      throw this.invalid(`"${name}" is counted on the order's row: name the attribute in "extended", such as 'confirmExtended'`)
    const attribute = this.attribute('extended', extended) as string
    if (attribute === (this.options.pause as { keep?: unknown } | undefined)?.keep)
      throw this.invalid(`"extended" and "pause.keep" must name two attributes, got ${show(attribute)} for both`)
    if (maxTotal !== undefined) return { attribute, most: this.duration('"maxTotal"', maxTotal), unit: 'ms' }
    return { attribute, most: this.count('"maxExtensions"', maxExtensions), unit: 'times' }
  }

  private backfill(after: RowOptions['after']): RowOptions['backfill'] {
    const { backfill } = this.options
    if (backfill === undefined || backfill === false) return undefined
    const shape = "true or { since: 'createdAt' }"
    const given = backfill === true ? {} : this.object('"backfill"', backfill, shape, ['since'])
    if (after === undefined) throw this.invalid('"backfill" needs "after", from which it reckons')
    return { since: this.attribute('backfill.since', given?.since) }
  }

  private reminders(): RowOptions['reminders'] {
    const { reminders } = this.options
    if (reminders === undefined) return []
    if (!Array.isArray(reminders)) throw this.invalid(`"reminders" must be a list such as [{ before: '2h', run }], got ${show(reminders)}`)
    if (reminders.length > 0 && this.options.history !== true)
      throw this.invalid('"reminders" need "history: true", whose row is what makes each come once at most')
    if (this.form === 'redis') throw this.invalid('"reminders" need a deadline that the row has, by "deadline" or "since"')
    const parsed = reminders.map((reminder: unknown, index) => {
      const name = `"reminders[${index}]"`
      const given = this.object(name, reminder, "such as { before: '2h', run }", ['before', 'run', 'staleAfter']) as Given
      const beforeMs = this.duration(`"reminders[${index}].before"`, given.before)
      if (given.run === undefined) throw this.invalid(`"reminders[${index}].run" must be a function, got undefined`)
      this.isFunction(`"reminders[${index}].run"`, given.run)
      const staleAfterMs =
        given.staleAfter === undefined ? Math.ceil(beforeMs / 2) : this.duration(`"reminders[${index}].staleAfter"`, given.staleAfter)
      const label = typeof given.before === 'string' ? given.before : `${beforeMs}ms`
      return { beforeMs, label, run: given.run as AfterCommit<Model>, staleAfterMs: Math.min(staleAfterMs, beforeMs) }
    })
    const twice = parsed.find(({ beforeMs }, index) => parsed.findIndex((other) => other.beforeMs === beforeMs) !== index)
    if (twice) throw this.invalid(`"reminders" must each be for another time, got "before" ${show(twice.label)} twice`)
    return parsed
  }

  private brake(): RowOptions['brake'] {
    const given = this.object('"brake"', this.options.brake, "such as { max: 1000, per: '1h' }", ['max', 'per'])
    return given && { max: this.count('"brake.max"', given.max), perMs: this.duration('"brake.per"', given.per, A_SECOND_AT_LEAST) }
  }

  private attribute(name: string, value: unknown): string | undefined {
    if (value === undefined || (typeof value === 'string' && value !== '')) return value
    throw this.invalid(`"${name}" must be the name of an attribute, got ${show(value)}`)
  }

  private condition(name: string, value: unknown): WhereOptions | undefined {
    if (value === undefined || (value !== null && typeof value === 'object')) return value as WhereOptions | undefined
    throw this.invalid(`${name} must be a Sequelize "where", such as { paid: false }, got ${show(value)}`)
  }

  private object(name: string, value: unknown, shape: string, known: string[]): Given | undefined {
    if (value === undefined) return undefined
    if (value === null || typeof value !== 'object' || Array.isArray(value))
      throw this.invalid(`${name} must be ${shape}, got ${show(value)}`)
    refuseUnknownOptions(`orderTimers: rule "${this.kind}": ${name}`, value, known)
    return value as Given
  }

  private flag(name: string): boolean {
    const value = this.options[name]
    if (value === undefined || typeof value === 'boolean') return value ?? false
    throw this.invalid(`"${name}" must be true or false, got ${show(value)}`)
  }

  private count(name: string, value: unknown): number {
    if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number
    throw this.invalid(`${name} must be a whole number from 1, got ${show(value)}`)
  }

  private duration(name: string, value: unknown, bounds?: DurationBounds): number {
    return parseDuration(`orderTimers: rule "${this.kind}": ${name}`, value, bounds)
  }

  private isFunction(name: string, value: unknown): void {
    if (value !== undefined && typeof value !== 'function') throw this.invalid(`${name} must be a function, got ${show(value)}`)
  }

  private invalid(message: string): OrderTimersError {
    return invalidRule(this.kind, message)
  }
}
