// Shared by the timers' calls, the worker and the command: the rules, the connection for commands, the due index, and the log.

import { OrderTimersError } from '../errors.js'
import { Identity } from '../identity.js'
import type { Keys } from '../keys.js'
import { type ProcessLog, processLog } from '../logger.js'
import { Meters } from '../meters.js'
import { Arming } from '../redis/arming.js'
import { RedisClock } from '../redis/clock.js'
import { RedisConnection } from '../redis/connection.js'
import { DueIndex } from '../redis/due-index.js'
import { FailedTimers } from '../redis/failed-timers.js'
import { Leases } from '../redis/leases.js'
import { LiveFeed } from '../redis/live-feed.js'
import { Pulse } from '../redis/pulse.js'
import type { RedisSource } from '../redis/single-source.js'
import type { RuleForm } from '../rules/form.js'
import type { BoundRule, ShopRule } from '../rules/rule.js'
import type { Tracer } from '../tracer.js'
import type { TimersHealth } from '../types.js'
import { Beats } from './beats.js'
import { BoundRules } from './bound-rules.js'
import type { ParsedOptions } from './options.js'
import type { UnhookedModels } from './unhooked-models.js'

/** The property with the timers' runtime. The same symbol in every copy of this package, CommonJS and ESM. */
export const RUNTIME: unique symbol = Symbol.for('express-order-timers.runtime') as never

export interface RuntimeRedis {
  source: RedisSource
  connection: RedisConnection
  clock: RedisClock
  index: DueIndex
  leases: Leases
  pulse: Pulse
  failures: FailedTimers
  arming: Arming
  /** Publishes what happens, for watchers. */
  feed: LiveFeed
}

export class Runtime {
  /** The identity of this process. */
  readonly identity = new Identity()
  readonly keys: Keys
  readonly log: ProcessLog
  /** Whether the shop set a logger. */
  readonly hasLogger: boolean
  readonly enabled: boolean
  readonly kinds: readonly string[]
  /** Undefined with `redis: false`, and where the timers are switched off. */
  readonly redis: RuntimeRedis | undefined
  /** The workers that run on these timers in this process; lib/worker has their type. */
  readonly running = new Set<object>()
  readonly meters = new Meters()
  /** Undefined unless the shop uses tracing. */
  tracer: Tracer | undefined
  /** This process's heartbeats. Undefined if the timers are switched off. */
  readonly beats: Beats | undefined
  private readonly bound: BoundRules
  private closing: Promise<void> | undefined
  private readonly closeListeners: (() => void)[] = []

  constructor(private readonly options: ParsedOptions) {
    this.keys = options.keys
    this.log = processLog(options.log, this.identity.id)
    this.hasLogger = options.hasLogger
    this.enabled = options.enabled
    this.kinds = [...options.rules.keys()]
    this.redis = options.redis && options.enabled ? this.connect(options.redis) : undefined
    this.bound = new BoundRules(options.rules, this.redis?.arming, this.log, this.keys.prefix)
    const { identity, keys, redis, log } = this
    const rule = (kind: string) => this.rule(kind)
    this.beats = this.enabled
      ? new Beats({ identity, keys, redis, declared: options.rules, rule, log, faults: () => this.health().faults })
      : undefined
  }

  get unhooked(): UnhookedModels {
    return this.bound.unhooked
  }

  /** @throws OrderTimersError UNKNOWN_KIND, CLOSED, and INVALID_MODEL, INVALID_STATUS or SHARED_DEADLINE when first used */
  rule(kind: string): ShopRule {
    return this.bound.get(kind)
  }

  /** A rule's declaration, even if it cannot be bound. */
  form(kind: string): RuleForm | undefined {
    return this.options.rules.get(kind)?.form
  }

  /** For each rule: equal in processes whose rule has the same declared values. */
  get fingerprints(): Record<string, string> {
    return Object.fromEntries([...this.options.rules].map(([kind, { fingerprint }]) => [kind, fingerprint]))
  }

  /** All rules, bound. @throws OrderTimersError INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE, INVALID_OPTION */
  rules(): ShopRule[] {
    return this.bound.all()
  }

  /**
   * One rule for settling, even if other rules are wrong.
   * @param settlesStale for a pass that also settles what is overdue by more than `staleAfter`
   * @throws OrderTimersError as `rule`, and INVALID_OPTION if it is not compatible with a rule with `auto`
   */
  ruleByItself(kind: string, { settlesStale = false } = {}): ShopRule {
    return this.bound.alone(kind, settlesStale)
  }

  /** Everything that a worker settles: the rules and their reminders. */
  workerRules(): BoundRule[] {
    return this.rules().flatMap((rule) => [rule, ...rule.reminders])
  }

  /** @throws OrderTimersError REDIS_UNAVAILABLE if these timers have no Redis */
  requireRedis(kind: string, remedy = 'its deadlines are only in Redis; declare it with "deadline" to have them on the row'): RuntimeRedis {
    if (this.redis) return this.redis
    const why = this.enabled ? '"redis" is false' : 'the timers are switched off (ORDER_TIMERS=off or enabled: false)'
    throw new OrderTimersError('REDIS_UNAVAILABLE', `orderTimers: ${kind}: ${why}, and ${remedy}`)
  }

  /** The present faults of this process's timers. Sends no query. */
  health(): TimersHealth {
    const { redis } = this
    const faults = [...(redis?.arming.outage.faults.list() ?? []), ...(this.beats?.suspicions.faults.list() ?? [])]
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

  /** Called once, when the timers begin to close. */
  onClose(listener: () => void): void {
    this.closeListeners.push(listener)
  }

  close(): Promise<void> {
    for (const listener of this.closeListeners.splice(0)) listener()
    this.bound.close()
    this.log.flush()
    this.redis?.arming.outage.stop()
    this.closing ??= this.leave()
    return this.closing
  }

  private async leave(): Promise<void> {
    await this.beats?.end()
    this.redis?.connection.close()
  }

  private connect(source: RedisSource): RuntimeRedis {
    const connection = new RedisConnection(source, 'express-order-timers', this.keys)
    const clock = new RedisClock(connection, this.keys)
    const index = new DueIndex(connection, this.keys)
    const feed = new LiveFeed(connection, this.keys, this.identity.id)
    const leases = new Leases(connection, this.keys, clock)
    return {
      ...{ source, connection, clock, index, feed, leases },
      pulse: new Pulse(connection, this.keys, clock, leases),
      failures: new FailedTimers(connection, this.keys),
      arming: new Arming(index, connection, this.log, () => this.running.size, this.meters, feed),
    }
  }
}
