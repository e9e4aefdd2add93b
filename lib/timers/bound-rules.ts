// The rules by name. Each is bound to its model at first use, hooked if it has `auto`, and linked to the rules whose timers start or end
// when it settles an order.

import { linkCascade, refuseUnknownAfter } from '../auto/cascade.js'
import { AutoHooks } from '../auto/hooks.js'
import type { AutoArming } from '../auto/rule.js'
import { errorName, OrderTimersError, show } from '../errors.js'
import type { Log } from '../logger.js'
import { type DeclaredRule, type HookingRule, isHooking, type ShopRule } from '../rules/rule.js'
import { isSameDatabase } from '../sequelize/same-database.js'
import { refuseSharedDeadlines } from './options.js'
import { UnhookedModels } from './unhooked-models.js'

export class BoundRules {
  readonly unhooked: UnhookedModels
  private readonly bound = new Map<string, ShopRule>()
  private readonly hooks: AutoHooks
  private closed = false
  /** Whether all rules are bound and fit together. */
  private complete = false

  constructor(
    private readonly declared: ReadonlyMap<string, DeclaredRule>,
    arming: AutoArming | undefined,
    log: Log,
    private readonly prefix: string,
  ) {
    this.hooks = new AutoHooks(arming)
    this.unhooked = new UnhookedModels(declared, (kind) => this.get(kind), log)
    this.unhooked.start()
  }

  /** @throws OrderTimersError UNKNOWN_KIND, CLOSED, and INVALID_MODEL, INVALID_STATUS or SHARED_DEADLINE when first used */
  get(kind: string): ShopRule {
    if (this.closed) throw new OrderTimersError('CLOSED', 'orderTimers: these timers are closed; make new ones with orderTimers({ … })')
    return this.bound.get(kind) ?? this.bind(this.declaration(kind))
  }

  /** @throws OrderTimersError INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE, INVALID_OPTION */
  all(): ShopRule[] {
    const rules = [...this.declared.keys()].map((kind) => this.get(kind))
    if (this.complete) return rules
    const autoRules = rules.filter(isHooking)
    for (const rule of rules) refuseUnknownAfter(rule, autoRules)
    this.complete = true
    return rules
  }

  /**
   * One rule for settling, even if other rules are wrong.
   * @param settlesStale for a pass that also settles what is overdue by more than `staleAfter`
   * @throws OrderTimersError UNKNOWN_KIND, INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE, and INVALID_OPTION if it is not compatible with a rule with `auto`
   */
  alone(kind: string, settlesStale: boolean): ShopRule {
    const rule = this.get(kind)
    const autoRules = rule.row?.move ? this.autoRulesBeside(kind) : []
    refuseUnknownAfter(rule, autoRules)
    if (!settlesStale) return rule
    const settling = this.declaration(kind).bind({ prefix: this.prefix, settlesStale })
    linkCascade(settling, autoRules)
    return settling
  }

  close(): void {
    this.closed = true
    this.hooks.unhook()
    this.unhooked.clear()
  }

  private declaration(kind: string): DeclaredRule {
    const declared = this.declared.get(kind)
    if (declared) return declared
    const known = [...this.declared.keys()].map((name) => `"${name}"`).join(', ')
    throw new OrderTimersError('UNKNOWN_KIND', `orderTimers: there is no rule ${show(kind)}; the rules are ${known}`)
  }

  private bind(declared: DeclaredRule): ShopRule {
    const rule = declared.bind({ prefix: this.prefix })
    this.refuseSharedDeadlines(rule)
    this.bound.set(rule.kind, rule)
    if (isHooking(rule)) this.hooks.hook(rule)
    this.link(rule)
    this.unhooked.remove(rule.kind)
    this.unhooked.hook() // their modules are probably loaded now
    return rule
  }

  /** A rule with `auto` may start or end its timers when another rule settles, so the rules bound before it are linked to it. */
  private link(added: ShopRule): void {
    const bound = [...this.bound.values()]
    const autoRules = bound.filter(isHooking)
    for (const rule of isHooking(added) ? bound : [added]) linkCascade(rule, autoRules)
  }

  /** All of them must be bound, and so linked, before anything is settled. */
  private autoRulesBeside(kind: string): HookingRule[] {
    try {
      return [...this.declared.values()]
        .filter(({ auto }) => auto)
        .map((declared) => this.get(declared.kind))
        .filter(isHooking)
    } catch (error) {
      if (!(error instanceof OrderTimersError)) throw error
      const why = 'is not settled, since that may start or end timers of a rule with "auto" that is wrong'
      throw new OrderTimersError(errorName(error.code), `orderTimers: rule "${kind}" ${why}: ${error.message}`, { cause: error })
    }
  }

  /** Two models may have the same table, also two of different Sequelize instances. */
  private refuseSharedDeadlines(added: ShopRule): void {
    const instances = [...this.bound.values(), added].flatMap(({ row }) => row?.guard.table.sequelize ?? [])
    const deadlines = [...this.bound.values(), added].flatMap(({ kind, row }) => {
      if (row?.deadline.in !== 'column') return []
      const { table } = row.guard
      const { attribute } = row.deadline
      const of = instances.find((one) => isSameDatabase(one, table.sequelize))
      return [{ kind, of, column: `${table.table}.${table.bareColumn(attribute)}`, attribute }]
    })
    refuseSharedDeadlines(deadlines)
  }
}
