// The request of a bulk call, checked before anything is read or written.

import type { BulkOptions, ExtendAllOptions, RunOptions, ScheduleAllOptions } from '../../bulk.js'
import { parseDuration, parseInstant } from '../../duration.js'
import { OrderTimersError, refuseUnknownOptions, show } from '../../errors.js'
import { parseFlag, requireFunction, requireSignal, requireText } from '../../option-types.js'
import type { ColumnDeadline, RowRule } from '../../rows/row-rule.js'
import { parseRunWhere } from '../../rows/run-where.js'
import type { RunAction, RunTask } from '../../rows/runs-table.js'
import type { OrderRule, ShopRule } from '../../rules/rule.js'
import { refuseSince } from '../allowed-calls.js'
import type { Runtime } from '../runtime.js'

/** A rule with `deadline: 'attribute'`. */
export type BulkRule = OrderRule & { readonly row: RowRule & { readonly deadline: ColumnDeadline } }

type AnyOptions = BulkOptions & Partial<ExtendAllOptions & ScheduleAllOptions>

const COMMON = ['where', 'all', 'dryRun', 'reason', 'onProgress', 'signal']

const OWN: Record<RunAction, readonly string[]> = {
  extendAll: ['by'],
  scheduleAll: ['after', 'at', 'overwrite'],
  cancelAll: [],
}

/**
 * @throws OrderTimersError UNKNOWN_KIND; NOT_ON_SINCE, NOT_IN_BULK if the rule has no deadlines that a call can write; INVALID_WHERE,
 * INVALID_DURATION, INVALID_DEADLINE, INVALID_OPTION
 */
export function parseBulk(runtime: Runtime, kind: string, action: RunAction, options: AnyOptions): { rule: BulkRule; task: RunTask } {
  const rule = bulkRule(runtime.rule(kind), action)
  const call = `orderTimers: ${kind}: ${action}()`
  refuseUnknownOptions(call, options, [...COMMON, ...OWN[action]])
  const { where, by } = options
  const all = parseFlag(call, 'all', options.all)
  const overwrite = parseFlag(call, 'overwrite', options.overwrite)
  parseFlag(call, 'dryRun', options.dryRun)
  requireText(call, 'reason', options.reason)
  checkRunOptions(call, options)
  if ((where === undefined || isEmpty(where)) && !all) {
    const message = `orderTimers: ${kind}: ${action}() needs "where", such as { country: 'TW' }, or all: true for all orders of the rule`
    throw new OrderTimersError('INVALID_WHERE', `${message}, got ${show(where)}`)
  }
  if (where !== undefined && all)
    throw new OrderTimersError('INVALID_WHERE', `orderTimers: ${kind}: ${action}(): give "where" or all: true, not both`)
  return {
    rule,
    task: {
      action,
      where: where === undefined ? {} : parseRunWhere(kind, rule.row.guard.table, where),
      byMs: action === 'extendAll' ? parseDuration(`orderTimers: ${kind}: "by"`, by) : null,
      ...(action === 'scheduleAll' ? parseDeadline(kind, rule, options) : { atMs: null, afterMs: null }),
      overwrite,
    },
  }
}

/** @throws OrderTimersError INVALID_OPTION */
export function checkRunOptions(call: string, { onProgress, signal }: RunOptions): void {
  requireFunction(call, 'onProgress', onProgress)
  requireSignal(call, 'signal', signal)
}

/** @throws OrderTimersError NOT_ON_SINCE, NOT_IN_BULK */
export function bulkRule(rule: ShopRule, call: string): BulkRule {
  const row = refuseSince(rule, call)
  if (row?.deadline.in === 'column') return rule as BulkRule
  throw notInBulk(rule.kind, call)
}

export function notInBulk(kind: string, call: string): OrderTimersError {
  const remedy = 'declare it with "deadline" to have them on the rows'
  const message = `orderTimers: ${kind}: ${call}() is not for this rule, whose deadlines are only in Redis; ${remedy}`
  return new OrderTimersError('NOT_IN_BULK', message)
}

function isEmpty(where: unknown): boolean {
  return where !== null && typeof where === 'object' && Reflect.ownKeys(where).length === 0
}

function parseDeadline(kind: string, { row }: BulkRule, { after, at }: AnyOptions): { atMs: number | null; afterMs: number | null } {
  if (after !== undefined && at !== undefined)
    throw new OrderTimersError('INVALID_DEADLINE', `orderTimers: ${kind}: give "after" or "at", not both`)
  if (at !== undefined) return { atMs: parseInstant(`orderTimers: ${kind}: "at"`, at), afterMs: null }
  const { afterMs } = row.deadline
  if (after === undefined && afterMs !== undefined) return { atMs: null, afterMs }
  return { atMs: null, afterMs: parseDuration(`orderTimers: ${kind}: "after"`, after) }
}
