// The options of `orderTimers(…)`, validated once, when the timers are made. Neither models nor Redis are used here.

import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'
import { Keys, KIND_SHAPE, RESERVED_KIND } from '../keys.js'
import { type Log, toLog } from '../logger.js'
import type { RedisSource } from '../redis/single-source.js'
import { parseRedisSource } from '../redis/source.js'
import { declareHandler } from '../rules/handler.js'
import type { DeclaredRule } from '../rules/rule.js'
import { withoutScopes } from '../sequelize/scope.js'
import type { OrderTimersOptions } from '../types.js'
import { switchedOn } from './switch.js'

const OPTIONS = ['redis', 'rules', 'enabled', 'prefix', 'logger']

export interface ParsedOptions {
  redis: RedisSource | false
  keys: Keys
  rules: ReadonlyMap<string, DeclaredRule>
  enabled: boolean
  log: Log
  /** Whether the shop set `logger`, including `false`. */
  hasLogger: boolean
}

/** @throws OrderTimersError INVALID_OPTION, INVALID_DURATION, SHARED_DEADLINE */
export function parseOptions(options: OrderTimersOptions): ParsedOptions {
  if (options === null || typeof options !== 'object') {
    throw invalid(`orderTimers() takes its options as an object, such as { redis, rules }, got ${show(options)}`)
  }
  refuseUnknownOptions('orderTimers', options, OPTIONS)
  const { enabled = switchedOn(process.env.ORDER_TIMERS), prefix = '', logger } = options
  if (typeof enabled !== 'boolean') throw invalid(`orderTimers: "enabled" must be true or false, got ${show(enabled)}`)
  if (typeof prefix !== 'string' || /[{}\s]/.test(prefix) || prefix.length > 64) {
    throw invalid(`orderTimers: "prefix" must be text of 64 characters at most without blanks and braces, got ${show(prefix)}`)
  }
  if (
    logger !== undefined &&
    logger !== false &&
    ['debug', 'info', 'warn', 'error'].some((level) => typeof Reflect.get(Object(logger), level) !== 'function')
  ) {
    throw invalid(
      `orderTimers: "logger" must have the functions debug, info, warn and error, as pino and console do, or be false for silence, got ${show(logger)}`,
    )
  }
  const redis = parseRedisSource(options.redis)
  const keyPrefix = redis === false ? '' : redis.keyPrefix
  const log = toLog(logger)
  if (redis && enabled && options.redis === undefined && 'redis' in options) {
    const where = redis.describe()
    log('warn', `orderTimers: "redis" was given and is undefined (an environment variable that is not set?); ${where} is used`, {
      code: 'REDIS_DEFAULT',
      redis: where,
    })
  }
  return {
    redis,
    keys: new Keys(keyPrefix + prefix, redis && redis.topology === 'cluster'),
    rules: declareRules(options.rules),
    enabled,
    log,
    hasLogger: logger !== undefined,
  }
}

function declareRules(rules: unknown): Map<string, DeclaredRule> {
  if (rules === null || typeof rules !== 'object' || Object.keys(rules).length === 0) {
    throw invalid(`orderTimers: "rules" must have at least one rule, such as { order_confirm: transition(Order, …) }, got ${show(rules)}`)
  }
  const declared = new Map<string, DeclaredRule>()
  for (const [kind, rule] of Object.entries(rules)) {
    if (!KIND_SHAPE.test(kind) || kind === RESERVED_KIND) {
      throw invalid(
        `orderTimers: a rule's name must be letters, digits and _ . - (64 at most, no colon) and not "${RESERVED_KIND}", got ${show(kind)}`,
      )
    }
    const declares = rule !== null && typeof rule === 'object' && typeof (rule as { declare?: unknown }).declare === 'function'
    declared.set(kind, declares ? rule.declare(kind) : declareHandler(kind, rule))
  }
  refuseSharedDeadlines(
    [...declared.values()].flatMap(({ kind, deadline }) => {
      if (!deadline) return []
      const { source, attribute } = deadline
      return [{ kind, of: withoutScopes(source), column: attribute, attribute }]
    }),
  )
  return declared
}

/**
 * Two rules on one attribute would clear and settle each other's deadlines. Scopes do not help, because an order may be in both.
 * @param deadlines two with the same `of` and `column` are the same deadline
 * @throws OrderTimersError SHARED_DEADLINE
 */
export function refuseSharedDeadlines(deadlines: readonly { kind: string; of: unknown; column: string; attribute: string }[]): void {
  for (const [index, { kind, of, column, attribute }] of deadlines.entries()) {
    const other = deadlines.slice(0, index).find((earlier) => earlier.of === of && earlier.column === column)
    if (!other) continue
    throw new OrderTimersError(
      'SHARED_DEADLINE',
      `orderTimers: rule "${kind}": "deadline" names ${show(attribute)}, which is the deadline of rule "${other.kind}" already; give each rule an attribute of its own`,
    )
  }
}

function invalid(message: string): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', message)
}
