// What the timers' calls and the worker share: the rules, bound at first use; the one connection for commands; the due index.

import { linkCascade, refuseUnknownAfter } from '../auto/cascade.js'
import { AutoHooks } from '../auto/hooks.js'
import { errorName, OrderTimersError, show } from '../errors.js'
import type { Keys } from '../keys.js'
import type { Log } from '../logger.js'
import { Arming } from '../redis/arming.js'
import { RedisClock } from '../redis/clock.js'
import { RedisConnection } from '../redis/connection.js'
import { DueIndex } from '../redis/due-index.js'
import type { RedisSource } from '../redis/source.js'
import { isModel } from '../rows/order-table.js'
import type { RuleForm } from '../rules/form.js'
import type { BoundRule, DeclaredRule } from '../rules/rule.js'
import type { TimersHealth } from '../types.js'
import { type ParsedOptions, refuseSharedDeadlines } from './options.js'

/** Where the timers keep their runtime. The same symbol in every copy of this package, CommonJS and ESM. */
export const RUNTIME: unique symbol = Symbol.for('express-order-timers.runtime') as never

export interface RuntimeRedis {
  source: RedisSource
  connection: RedisConnection
  clock: RedisClock
  index: DueIndex
  arming: Arming
}

export class Runtime {
  readonly keys: Keys
  readonly log: Log
  readonly enabled: boolean
  readonly kinds: readonly string[]
  /** None where the shop said `redis: false`, or where the timers are switched off. */
  readonly redis: RuntimeRedis | undefined
  /** How many workers run on these timers in this process. */
  workers = 0
  private readonly bound = new Map<string, BoundRule>()
  private closing: Promise<void> | undefined
  private readonly auto: AutoHooks
  /** Rules with `auto` whose models are not hooked yet. */
  private readonly unhooked: Set<string>
  private readonly saidUnhooked = new Set<string>()
  /** Whether all rules have been bound, and held against each other. */
  private complete = false

  constructor(private readonly options: ParsedOptions) {
    this.keys = options.keys
    this.log = options.log
    this.enabled = options.enabled
    this.kinds = [...options.rules.keys()]
    this.redis = options.redis && options.enabled ? this.connect(options.redis) : undefined
    this.auto = new AutoHooks(this.redis?.arming)
    this.unhooked = new Set(this.kinds.filter((kind) => options.rules.get(kind)?.auto))
    this.hookModels((kind) => isModel(options.rules.get(kind)?.auto?.source))
    if (this.unhooked.size > 0) setImmediate(() => this.hookModels())
  }

  /**
   * Hooks the models of rules with `auto`, as many as are initialised. A model must be hooked before the first save of a process that never
   * calls `schedule`, so this is tried when the timers are made (where models are given as classes), a turn later, by each request and at first
   * use. It throws nothing, since what is wrong with a rule shows at its first use; what cannot be hooked at a request is logged once.
   */
  hookModels(which: (kind: string) => boolean = () => true): void {
    if (this.unhooked.size === 0 || this.closing) return
    const kinds = [...this.unhooked].filter(which)
    for (const kind of kinds) this.unhooked.delete(kind)
    for (const kind of kinds) {
      try {
        this.rule(kind)
      } catch {
        this.unhooked.add(kind)
      }
    }
  }

  /** For a request. */
  hookModelsOrSay(): void {
    this.hookModels()
    for (const kind of this.unhooked) {
      if (this.saidUnhooked.has(kind)) continue
      this.saidUnhooked.add(kind)
      this.log('error', `${kind}: its model could not be hooked ("auto"), and its orders get no deadlines; timers.check() says why`, {
        code: 'NOT_HOOKED',
        kind,
      })
    }
  }

  /** @throws OrderTimersError UNKNOWN_KIND, CLOSED, and INVALID_MODEL, INVALID_STATUS or SHARED_DEADLINE when first used */
  rule(kind: string): BoundRule {
    if (this.closing) throw new OrderTimersError('CLOSED', 'orderTimers: these timers are closed; make new ones with orderTimers({ … })')
    const bound = this.bound.get(kind)
    if (bound) return bound
    const declared = this.options.rules.get(kind)
    if (!declared) {
      const known = this.kinds.map((name) => `"${name}"`).join(', ')
      throw new OrderTimersError('UNKNOWN_KIND', `orderTimers: there is no rule ${show(kind)}; the rules are ${known}`)
    }
    const rule = declared.bind()
    this.refuseSharedDeadlines(rule)
    this.bound.set(kind, rule)
    if (declared.auto) this.auto.hook(rule)
    this.link(rule)
    this.unhooked.delete(kind)
    this.hookModels()
    return rule
  }

  /** How a rule was declared, also where it cannot be bound. */
  form(kind: string): RuleForm | undefined {
    return this.options.rules.get(kind)?.form
  }

  /** All rules, bound. @throws OrderTimersError INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE, INVALID_OPTION */
  rules(): BoundRule[] {
    const rules = this.kinds.map((kind) => this.rule(kind))
    if (!this.complete) for (const rule of rules) refuseUnknownAfter(rule, rules)
    this.complete = true
    return rules
  }

  /**
   * One rule as it can be settled, whatever is wrong with others.
   * @param settlesStale for a pass that settles also what is overdue by more than `staleAfter`
   * @throws OrderTimersError UNKNOWN_KIND, INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE, and INVALID_OPTION where it does not go with a rule with `auto`
   */
  ruleByItself(kind: string, { settlesStale = false } = {}): BoundRule {
    const rule = this.rule(kind)
    const autoRules = rule.row?.move ? this.autoRulesBeside(kind) : []
    refuseUnknownAfter(rule, autoRules)
    if (!settlesStale) return rule
    const settling = (this.options.rules.get(kind) as DeclaredRule).bind({ settlesStale })
    linkCascade(settling, autoRules)
    return settling
  }

  /** @throws OrderTimersError REDIS_UNAVAILABLE where these timers have no Redis */
  requireRedis(
    kind: string,
    remedy = 'its deadlines are in Redis alone; declare it with "deadline" to have them on the row',
  ): RuntimeRedis {
    if (this.redis) return this.redis
    const why = this.enabled ? '"redis" is false' : 'the timers are switched off (ORDER_TIMERS=off or enabled: false)'
    throw new OrderTimersError('REDIS_UNAVAILABLE', `orderTimers: ${kind}: ${why}, and ${remedy}`)
  }

  /** All that a worker settles: the rules, and their reminders. */
  workerRules(): BoundRule[] {
    return this.rules().flatMap((rule) => [rule, ...rule.reminders])
  }

  /** What is wrong at present with the timers of this process. Asks nobody. */
  health(): TimersHealth {
    const { redis } = this
    const faults = redis?.arming.outage.faults.list() ?? []
    const off = !this.enabled || this.closing !== undefined
    return {
      status: off ? 'off' : faults.length > 0 ? 'degraded' : 'ok',
      faults,
      redis: redis && {
        where: redis.connection.where,
        connected: redis.connection.ready && redis.connection.answering,
        kept: redis.arming.waiting,
        dropped: redis.arming.outage.dropped,
      },
    }
  }

  close(): Promise<void> {
    this.auto.unhook()
    this.log.flush()
    this.redis?.arming.outage.stop()
    this.closing ??= Promise.resolve(this.redis?.connection.close())
    return this.closing
  }

  private connect(source: RedisSource): RuntimeRedis {
    const connection = new RedisConnection(source, 'express-order-timers')
    const clock = new RedisClock(connection)
    const index = new DueIndex(connection, this.keys, clock)
    return { source, connection, clock, index, arming: new Arming(index, connection, this.log, () => this.workers) }
  }

  /** Settling a rule may start or end timers of those with `auto`: it is linked to them, and with `auto` itself the others are linked to it. */
  private link(added: BoundRule): void {
    const bound = [...this.bound.values()]
    const autoRules = bound.filter(({ row }) => row?.move?.auto)
    for (const rule of added.row?.move?.auto ? bound : [added]) linkCascade(rule, autoRules)
  }

  /** Those that hook a model. Before anything is settled all of them must be bound, and so linked to. */
  private autoRules(): BoundRule[] {
    return this.kinds.filter((kind) => this.options.rules.get(kind)?.auto).map((kind) => this.rule(kind))
  }

  private autoRulesBeside(kind: string): BoundRule[] {
    try {
      return this.autoRules()
    } catch (error) {
      if (!(error instanceof OrderTimersError)) throw error
      const why = 'is not settled, since that may start or end timers of a rule with "auto" that is wrong'
      throw new OrderTimersError(errorName(error.code), `orderTimers: rule "${kind}" ${why}: ${error.message}`, { cause: error })
    }
  }

  /** Two models, given as functions or of their own, may turn out to be one table. */
  private refuseSharedDeadlines(added: BoundRule): void {
    const deadlines = [...this.bound.values(), added].flatMap(({ kind, row }) => {
      if (!row?.deadlineAttribute) return []
      const { table } = row.guard
      const attribute = row.deadlineAttribute
      return [{ kind, of: table.sequelize, column: `${table.table}.${table.bareColumn(attribute)}`, attribute }]
    })
    refuseSharedDeadlines(deadlines)
  }
}
