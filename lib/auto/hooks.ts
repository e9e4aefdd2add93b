// `auto: true`: hooks models, so that no route needs to call `schedule`. A hooked model gets a `queryInterface` of its own (queries.ts), which the
// classes that Sequelize makes for its scopes inherit. The shop's own hooks are left as they are.

import type { HookingRule } from '../rules/rule.js'
import { type AnyModel, sequelizeOf } from '../sequelize/sql.js'
import { AutoQueries, type Queries } from './queries.js'
import { type AutoArming, AutoRule } from './rule.js'

/** The property with a hooked model's rules. The same symbol in every copy of this package: two timers may hook one model. */
const HOOKED: unique symbol = Symbol.for('express-order-timers.auto') as never

type Hookable = AnyModel & { [HOOKED]?: Set<AutoRule> }

const STATEMENTS = ['insert', 'update', 'upsert', 'bulkInsert', 'bulkUpdate', 'increment', 'decrement'] as const

export class AutoHooks {
  private readonly hooked: { model: Hookable; rule: AutoRule }[] = []

  constructor(private readonly arming: AutoArming | undefined) {}

  hook(bound: HookingRule): void {
    const rule = new AutoRule(bound, this.arming)
    const model = withoutScope(rule.row.guard.table.model)
    const rules = Object.hasOwn(model, HOOKED) ? (model[HOOKED] as Set<AutoRule>) : install(model)
    rules.add(rule)
    this.hooked.push({ model, rule })
  }

  /** Removes the hooks of these timers; those of others stay. */
  unhook(): void {
    for (const { model, rule } of this.hooked.splice(0)) {
      const rules = model[HOOKED]
      rules?.delete(rule)
      if (rules?.size === 0) uninstall(model)
    }
  }
}

function install(model: Hookable): Set<AutoRule> {
  const rules = new Set<AutoRule>()
  let wrapped: { real: Queries; queries: object } | undefined
  const get = () => {
    const real = sequelizeOf(model).getQueryInterface() as unknown as Queries
    if (wrapped?.real !== real) wrapped = { real, queries: wrap(real, model, rules) } // the model may be initialised again, in another Sequelize
    return wrapped.queries
  }
  Object.defineProperty(model, HOOKED, { value: rules, configurable: true })
  Object.defineProperty(model, 'queryInterface', { get, configurable: true })
  return rules
}

function wrap(real: Queries, model: Hookable, rules: ReadonlySet<AutoRule>): object {
  const queries = new AutoQueries(real, model, rules)
  const wrapped = Object.create(real) as Record<string, unknown>
  for (const name of STATEMENTS) wrapped[name] = (queries[name] as (...args: unknown[]) => unknown).bind(queries)
  return wrapped
}

function uninstall(model: Hookable): void {
  delete model[HOOKED]
  delete (model as { queryInterface?: unknown }).queryInterface
}

/** Sequelize makes a subclass for each scope of a model, and `queryInterface` must be set on the model itself. */
function withoutScope(model: AnyModel): Hookable {
  const registered = sequelizeOf(model).models[model.name] as AnyModel | undefined
  return registered && Object.prototype.isPrototypeOf.call(registered, model) ? registered : model
}
