// Parses the common options of `transition` and `effect`, as far as that is possible without the model.

import type { Model } from 'sequelize'
import { A_SECOND_AT_LEAST, WAITING_BOUNDS } from '../duration.js'
import { refuseUnknownOptions, show } from '../errors.js'
import type { AfterFunction } from '../rows/after.js'
import type { AfterCommit, DeclaredColumn, DeclaredDeadline, DeclaredVerify, RowOptions } from '../rows/row-options.js'
import type { RowForm } from './form.js'
import { type Given, invalidRule, OptionChecks } from './option-checks.js'

/** Options that need `deadline: 'attribute'`. */
const OF_DEADLINE = ['pause', 'maxExtensions', 'maxTotal', 'extended', 'backfill'] as const

const VERIFY = { batch: 20, concurrency: 2, perSecond: 20, timeout: '10s' } as const

const DEFAULT = { attempts: 25, timeout: '30s', staleAfter: '7d' } as const

export function formOf(options: { deadline?: unknown; since?: unknown }): RowForm {
  if (options?.deadline === false) return 'redis'
  return options?.since === undefined ? 'deadline' : 'since'
}

/**
 * @param known the names of the options that the rule may have
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
  private readonly check: OptionChecks

  constructor(
    private readonly kind: string,
    private readonly options: Given,
  ) {
    this.form = formOf(options)
    this.check = new OptionChecks(kind)
  }

  parse(): RowOptions {
    const { options, check } = this
    const { attempts = DEFAULT.attempts, timeout = DEFAULT.timeout, staleAfter = DEFAULT.staleAfter } = options
    this.refuseOtherForms()
    for (const name of ['run', 'afterCommit']) check.isFunction(`"${name}"`, options[name])
    if (options.description !== undefined && typeof options.description !== 'string')
      check.isFunction('"description", where it is no text,', options.description)
    const after = this.after()
    return {
      kind: this.kind,
      where: check.condition('"where"', options.where),
      run: options.run as RowOptions['run'],
      afterCommit: options.afterCommit as RowOptions['afterCommit'],
      history: check.flag('history', options.history),
      description: options.description as RowOptions['description'],
      attempts: check.count('"attempts"', attempts),
      timeoutMs: check.duration('"timeout"', timeout, { ...WAITING_BOUNDS, leastMs: 100 }),
      staleAfterMs: check.duration('"staleAfter"', staleAfter, A_SECOND_AT_LEAST),
      deadline: this.deadline(after),
      reminders: this.reminders(),
      dryRun: check.flag('dryRun', options.dryRun),
      brake: this.brake(),
      verify: this.verify(),
    }
  }

  private refuseOtherForms(): void {
    const { deadline, since } = this.options
    if ((deadline === undefined) === (since === undefined)) {
      const given = deadline === undefined ? 'neither' : 'both'
      const remedy = '"deadline: false" keeps deadlines only in Redis'
      throw this.check.invalid(`exactly one of "deadline" and "since" must be given, got ${given}; ${remedy}`)
    }
    if (this.form === 'deadline') this.check.attribute('deadline', deadline)
    if (this.form === 'since') this.check.attribute('since', since)
    for (const name of OF_DEADLINE) {
      const value = this.options[name]
      if (value === undefined || this.form === 'deadline') continue
      throw this.check.invalid(`"${name}" needs a deadline on the row; give "deadline" the name of an attribute, got ${show(value)}`)
    }
  }

  private after(): DeclaredColumn['after'] {
    const { after, since } = this.options
    if (after === undefined && this.form !== 'since') return undefined
    if (after === undefined) throw this.check.invalid(`"after" must say how long after "${since}" the deadline is, such as '15m'`)
    if (typeof after !== 'function') return this.check.duration('"after"', after)
    if (this.form === 'deadline') return after as AfterFunction
    throw this.check.invalid(`"after" may be a function of the order only with "deadline: 'attribute'", which stores the result`)
  }

  private deadline(after: DeclaredColumn['after']): DeclaredDeadline {
    const { deadline, since } = this.options
    if (typeof deadline === 'string') {
      const [pause, extensions, backfill] = [this.pause(), this.extensions(), this.backfill(after)]
      return { in: 'column', attribute: deadline, after, pause, extensions, backfill }
    }
    if (typeof after === 'function') throw new TypeError('"after" is a function of the order without a deadline on its row')
    return typeof since === 'string' && after !== undefined
      ? { in: 'since', attribute: since, afterMs: after }
      : { in: 'redis', afterMs: after }
  }

  private pause(): DeclaredColumn['pause'] {
    const given = this.check.object('"pause"', this.options.pause, "such as { keep: 'confirmLeftMs' }", ['keep', 'while'])
    if (!given) return undefined
    const keep = this.check.attribute('pause.keep', given.keep ?? null)
    return { keep, while: this.check.condition('"pause.while"', given.while) }
  }

  private extensions(): DeclaredColumn['extensions'] {
    const { check } = this
    const { maxExtensions, maxTotal, extended } = this.options
    if (maxExtensions === undefined && maxTotal === undefined) {
      if (extended !== undefined) throw check.invalid(`"extended" counts for "maxExtensions" or "maxTotal", and neither is given`)
      return undefined
    }
    if (maxExtensions !== undefined && maxTotal !== undefined)
      throw check.invalid(`one of "maxExtensions" and "maxTotal" may be given, got both`)
    const name = maxTotal === undefined ? 'maxExtensions' : 'maxTotal'
    if (extended === undefined)
      throw check.invalid(`"${name}" is counted on the order's row: name the attribute in "extended", such as 'confirmExtended'`)
    const attribute = check.attribute('extended', extended)
    if (attribute === (this.options.pause as { keep?: unknown } | undefined)?.keep)
      throw check.invalid(`"extended" and "pause.keep" must name two attributes, got ${show(attribute)} for both`)
    if (maxTotal !== undefined) return { attribute, most: check.duration('"maxTotal"', maxTotal), unit: 'ms' }
    return { attribute, most: check.count('"maxExtensions"', maxExtensions), unit: 'times' }
  }

  private backfill(after: DeclaredColumn['after']): DeclaredColumn['backfill'] {
    const { backfill } = this.options
    if (backfill === undefined || backfill === false) return undefined
    const shape = "true or { since: 'createdAt' }"
    const { since } = (backfill === true ? undefined : this.check.object('"backfill"', backfill, shape, ['since'])) ?? {}
    if (after === undefined) throw this.check.invalid('"backfill" needs "after", to compute the deadlines from')
    return { since: since === undefined ? undefined : this.check.attribute('backfill.since', since) }
  }

  private reminders(): RowOptions['reminders'] {
    const { check } = this
    const { reminders, history } = this.options
    if (reminders === undefined) return []
    if (!Array.isArray(reminders)) throw check.invalid(`"reminders" must be a list such as [{ before: '2h', run }], got ${show(reminders)}`)
    if (reminders.length > 0 && history !== true)
      throw check.invalid('"reminders" need "history: true", since its rows make sure that no reminder is sent twice')
    if (this.form === 'redis') throw check.invalid('"reminders" need a deadline on the row; give "deadline" or "since"')
    const parsed = reminders.map((reminder: unknown, index) => this.reminder(`reminders[${index}]`, reminder))
    const twice = parsed.find(({ beforeMs }, index) => parsed.findIndex((other) => other.beforeMs === beforeMs) !== index)
    if (twice) throw check.invalid(`"reminders" must have different values of "before", got ${show(twice.label)} twice`)
    return parsed
  }

  private reminder(name: string, reminder: unknown): RowOptions['reminders'][number] {
    const { check } = this
    const known = ['before', 'run', 'staleAfter']
    const { before, run, staleAfter } = check.object(`"${name}"`, reminder, "such as { before: '2h', run }", known) as Given
    const beforeMs = check.duration(`"${name}.before"`, before)
    if (run === undefined) throw check.invalid(`"${name}.run" must be a function, got undefined`)
    check.isFunction(`"${name}.run"`, run)
    const staleAfterMs = staleAfter === undefined ? Math.ceil(beforeMs / 2) : check.duration(`"${name}.staleAfter"`, staleAfter)
    const label = typeof before === 'string' ? before : `${beforeMs}ms`
    return { beforeMs, label, run: run as AfterCommit<Model>, staleAfterMs: Math.min(staleAfterMs, beforeMs) }
  }

  private verify(): RowOptions['verify'] {
    const { check } = this
    const shape = 'such as { ask: async (orders) => […], batch: 20, perSecond: 10 }'
    const given = check.object('"verify"', this.options.verify, shape, ['ask', 'batch', 'concurrency', 'perSecond', 'timeout'])
    if (!given) return undefined
    if (given.ask === undefined) throw check.invalid('"verify.ask" must be a function that asks the payment service, got undefined')
    check.isFunction('"verify.ask"', given.ask)
    if (this.options.history !== true)
      throw check.invalid('"verify" needs "history: true", since each answer that an order was settled by is kept there')
    if (this.form === 'redis') throw check.invalid('"verify" needs a deadline on the row; give "deadline" or "since"')
    const { batch = VERIFY.batch, concurrency = VERIFY.concurrency, perSecond = VERIFY.perSecond, timeout = VERIFY.timeout } = given
    return {
      ask: given.ask as DeclaredVerify['ask'],
      batch: check.count('"verify.batch"', batch),
      concurrency: check.count('"verify.concurrency"', concurrency),
      perSecond: check.count('"verify.perSecond"', perSecond),
      timeoutMs: check.duration('"verify.timeout"', timeout, { ...WAITING_BOUNDS, leastMs: 100 }),
    }
  }

  private brake(): RowOptions['brake'] {
    const { check } = this
    const given = check.object('"brake"', this.options.brake, "such as { max: 1000, per: '1h' }", ['max', 'per'])
    return given && { max: check.count('"brake.max"', given.max), perMs: check.duration('"brake.per"', given.per, A_SECOND_AT_LEAST) }
  }
}
