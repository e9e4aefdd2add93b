// The model of a rule, as the shop gives it. It is checked when the rule is bound, since models may be initialised later than rules.

import type { Model, ModelStatic } from 'sequelize'
import { errorText } from '../error-text.js'
import { OrderTimersError, show } from '../errors.js'
import { unfitSequelize } from '../sequelize/probe.js'
import type { AnyModel } from '../sequelize/sql.js'

/** A model class, or a function that returns it if models are initialised later. */
export type ModelSource<M extends Model> = ModelStatic<M> | (() => ModelStatic<M>)

/**
 * @param rule the beginning of messages
 * @throws OrderTimersError INVALID_MODEL if there is no initialised model behind `source`, or its Sequelize is not supported
 */
export function initialisedModel(rule: string, source: ModelSource<Model>): AnyModel {
  const model = modelOf(rule, source)
  if (isModel(model) && model.sequelize !== undefined) {
    const unfit = unfitSequelize(model)
    if (unfit === undefined) return model
    throw new OrderTimersError('INVALID_MODEL', `orderTimers: ${rule}: ${unfit}`)
  }
  const remedy = 'call Order.init(…) before the timers are first used, or pass a function that returns the model'
  throw new OrderTimersError(
    'INVALID_MODEL',
    `orderTimers: ${rule}: the model must be an initialised Sequelize model, got ${show(model)}; ${remedy}`,
  )
}

/** By its methods: the shop may have another copy of Sequelize, for which `instanceof` fails. */
export function isModel(value: unknown): value is AnyModel {
  return typeof value === 'function' && typeof (value as Partial<AnyModel>).findAll === 'function'
}

/** @throws OrderTimersError INVALID_MODEL if the shop's function throws */
function modelOf(rule: string, source: ModelSource<Model>): AnyModel | undefined {
  if (isModel(source)) return source
  try {
    return (source as () => unknown)() as AnyModel | undefined
  } catch (cause) {
    const message = `orderTimers: ${rule}: the function that returns the model threw (${errorText(cause)}); let it return an initialised model`
    throw new OrderTimersError('INVALID_MODEL', message, { cause })
  }
}
