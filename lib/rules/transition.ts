// `transition(Model, …)`: orders in `from` move to `to` when their deadline passes. This file has its own options. Those that it shares with `effect`
// are in row-options.ts, and the rule is bound in bind-row-rule.ts.

import type { Model } from 'sequelize'
import { show } from '../errors.js'
import type { Status } from '../rows/guard.js'
import type { ModelSource } from '../rows/model-source.js'
import { columnOf } from '../rows/row-options.js'
import { declareRowRule } from './bind-row-rule.js'
import type { RowForm } from './form.js'
import { invalidRule } from './option-checks.js'
import { formOf, parseRowOptions } from './parse-row-options.js'
import { type Attribute, COMMON, type CommonOptions, type DeadlineForm, type RedisForm, type SinceForm } from './row-options.js'
import type { DeclaredRule, Rule } from './rule.js'

interface MoveOptions<M extends Model> extends CommonOptions<M> {
  /** The status, or the statuses, that the rule applies to. */
  from: Status | readonly Status[]
  /** The status that the order gets when its deadline has passed. */
  to: Status
  /** The attribute with the status. Default: `status`. */
  status?: Attribute<M>
  /** Further attributes to write, such as `{ confirmedBy: 'timer' }`; also expressions such as `fn('now')`. */
  set?: Partial<Record<Attribute<M>, unknown>>
  /** Saves each order as an instance, so that the model's own hooks and validators run. Slower. */
  individualHooks?: boolean
}

interface Auto {
  /**
   * Hooks the model, so that no route needs to call `schedule`. Each Sequelize call that moves an order into `from` also writes its deadline, in
   * the same statement, and arms it after the commit; each call that moves an order out of `from` ends its timer. An order that is in `from`
   * already keeps its deadline, and a deadline that the call itself writes is kept. Statements with `hooks: false`, raw SQL and other services
   * are not noticed. Default: false.
   * @throws OrderTimersError AUTO_UPSERT from the model's own `upsert` (and `bulkCreate` with `updateOnDuplicate`) of a status in `from`
   */
  auto?: boolean
}

export type DeadlineOptions<M extends Model> = MoveOptions<M> & DeadlineForm<M> & Auto
export type SinceOptions<M extends Model> = MoveOptions<M> & SinceForm<M> & Auto
export type RedisOnlyOptions<M extends Model> = MoveOptions<M> & RedisForm

export type TransitionOptions<M extends Model> = DeadlineOptions<M> | SinceOptions<M> | RedisOnlyOptions<M>

const OPTIONS = ['from', 'to', 'status', 'set', 'individualHooks', 'auto', ...COMMON]

/**
 * A rule: orders whose status is (among) `from` get the status `to` when their deadline has passed.
 * Nothing is checked yet: wrong options throw when the rule is passed to `orderTimers`, a wrong model when it is first used.
 */
export function transition<M extends Model>(model: ModelSource<M>, options: DeadlineOptions<M>): Rule<'deadline', M>
export function transition<M extends Model>(model: ModelSource<M>, options: SinceOptions<M>): Rule<'since', M>
export function transition<M extends Model>(model: ModelSource<M>, options: RedisOnlyOptions<M>): Rule<'redis', M>
export function transition<M extends Model>(model: ModelSource<M>, options: TransitionOptions<M>): Rule<RowForm, M> {
  return {
    form: formOf(options),
    declare: (kind) => declare(kind, model, options as unknown as TransitionOptions<Model>),
  }
}

function declare(kind: string, source: unknown, options: TransitionOptions<Model>): DeclaredRule {
  const parsed = parseRowOptions(kind, source, options, 'transition', OPTIONS)
  const invalid = (message: string) => invalidRule(kind, message)
  const from = Array.isArray(options.from) ? (options.from as Status[]) : [options.from as Status]
  if (from.length === 0 || !from.every(isStatus)) throw invalid(`"from" must be a status or several, got ${show(options.from)}`)
  if (!isStatus(options.to)) throw invalid(`"to" must be a status, got ${show(options.to)}`)
  if (from.some((status) => String(status) === String(options.to))) {
    const why = 'since an order would be settled again and again'
    throw invalid(`"to" must not be among "from", ${why}; got from ${show(options.from)} to ${show(options.to)}`)
  }
  const { status = 'status', set = {}, individualHooks = false } = options
  const { auto = false } = options as Auto
  if (typeof status !== 'string' || status === '') throw invalid(`"status" must be the name of an attribute, got ${show(status)}`)
  if (set === null || typeof set !== 'object') throw invalid(`"set" must be an object of attributes, got ${show(set)}`)
  const column = columnOf(parsed)
  const own = [status, column?.attribute, column?.pause?.keep, column?.extensions?.attribute]
  for (const name of Object.keys(set)) {
    if (own.includes(name)) throw invalid(`"set" must not write ${show(name)}, which the rule writes itself`)
  }
  for (const [name, value] of Object.entries({ individualHooks, auto })) {
    if (typeof value !== 'boolean') throw invalid(`"${name}" must be true or false, got ${show(value)}`)
  }
  if (auto && parsed.deadline.in === 'redis') throw invalid('"auto" needs a deadline on the row; give "deadline" or "since"')
  if (auto && column && column.after === undefined) throw invalid('"auto" needs "after", to compute the deadlines from')
  return declareRowRule(parsed, source, { applies: { status, from }, to: options.to, set, individualHooks, auto })
}

function isStatus(value: unknown): value is Status {
  return (typeof value === 'string' && value !== '') || Number.isSafeInteger(value)
}
