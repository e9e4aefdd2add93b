// `effect(Model, …)`: the shop's own condition and effect, for models without a status: unpaid is `isPaid: false`, and cancelling is a soft delete
// that puts the stock back. Guard, leases, batches, sweep and reminders are those of a transition.

import type { Model, WhereOptions } from 'sequelize'
import type { ModelSource } from '../rows/model-source.js'
import type { Run } from '../rows/row-options.js'
import { declareRowRule } from './bind-row-rule.js'
import type { RowForm } from './form.js'
import { invalidRule } from './option-checks.js'
import { formOf, parseRowOptions } from './parse-row-options.js'
import { COMMON, type CommonOptions, type DeadlineForm, type RedisForm, type SinceForm } from './row-options.js'
import type { Rule } from './rule.js'

interface EffectCommon<M extends Model> extends CommonOptions<M> {
  /** The orders that the rule applies to, as a Sequelize `where`. An order that no longer matches is left as it is. */
  where: WhereOptions<M['_attributes']>
  /**
   * The effect, in the settling transaction, with the locked instances. Under `since` the order must no longer match `where` afterwards. If it does,
   * the transaction is rolled back with STILL_DUE, since the order would be settled again and again.
   */
  run: Run<M>
}

export type EffectOptions<M extends Model> = EffectCommon<M> & (DeadlineForm<M> | SinceForm<M> | RedisForm)

/** A rule: orders that match `where` when their deadline passes are locked and passed to `run`, in one transaction. */
export function effect<M extends Model>(model: ModelSource<M>, options: EffectCommon<M> & DeadlineForm<M>): Rule<'deadline', M>
export function effect<M extends Model>(model: ModelSource<M>, options: EffectCommon<M> & SinceForm<M>): Rule<'since', M>
export function effect<M extends Model>(model: ModelSource<M>, options: EffectCommon<M> & RedisForm): Rule<'redis', M>
export function effect<M extends Model>(model: ModelSource<M>, options: EffectOptions<M>): Rule<RowForm, M> {
  return {
    form: formOf(options),
    declare: (kind) => {
      const parsed = parseRowOptions(kind, model, options, 'effect', COMMON)
      const { where, run } = parsed
      const says = where !== undefined && (Array.isArray(where) ? where : Reflect.ownKeys(where)).length > 0
      if (!says)
        throw invalidRule(
          kind,
          '"where" must say where the effect applies, such as { isPaid: false }; without it, it would apply to every row',
        )
      if (run === undefined) throw invalidRule(kind, '"run" must be the effect, a function of the locked orders')
      return declareRowRule({ ...parsed, where: undefined }, model, { applies: { where } })
    },
  }
}
