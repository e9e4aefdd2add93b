// One pass of the sweep, by hand: an ordinary one, or one that settles also what `staleAfter` holds back. It goes through the workers' own door, with
// their claims and guards, so that it may run beside them.

import { errorText } from '../error-text.js'
import { type ErrorName, errorName, OrderTimersError } from '../errors.js'
import type { Log } from '../logger.js'
import type { Failure } from '../redis/failed-timers.js'
import type { SettledRows } from '../rows/row-rule.js'
import { type BoundRule, isSwept } from '../rules/rule.js'
import { faultOwnerOf } from '../sequelize/fault-owner.js'
import type { Runtime } from '../timers/runtime.js'
import { assemble, type Rules } from '../worker/assembly.js'
import { type FaultCode, WorkerEmitter } from '../worker/events.js'
import { reportRefusedWrites } from '../worker/intake/connection-faults.js'
import { DEFAULT_CONCURRENCY } from '../worker/options.js'
import type { KindCounters } from '../worker/settling/counters.js'
import { ROW_LEASE_MS } from '../worker/settling/lease.js'
import { keptFailures } from './kept-failures.js'
import { countOrders, type OrderCounts } from './order-counts.js'

/** How long the pass waits for a connection to Redis. */
const CONNECT_MS = 2_000

export interface SweepOptions {
  /** Settles also what is overdue by more than `staleAfter`. */
  stale?: boolean
  /** Of this rule alone. */
  kind?: string | undefined
  /** Told of each order on which a rule failed, as it happens. */
  onFailed?: (failure: FailedOrder) => void
}

export interface FailedOrder {
  kind: string
  id: string
  error: unknown
  attempts: number
}

/** What became of a rule's orders. Each is counted once: as settled, or under what it was when the pass had ended. */
export interface KindSwept extends Partial<CountsAfterwards> {
  settled: number
  /** With the option `dryRun`: how many would have been settled. They still count as `left`. */
  dryRun: number
  /** Attempts that failed in this pass; the orders are counted under `retrying` or `dead`. */
  failed: number
  /** Since when its brake has stopped the rule. */
  brakedSince: Date | null
}

/** As `plan` and `status` count; nothing of it where it could not be counted. In a pass over what is stale nothing counts as `stale`. */
interface CountsAfterwards extends Pick<OrderCounts, 'retrying' | 'locked' | 'dead' | 'stale' | 'held' | 'paused' | 'undated'> {
  /** Overdue, and nothing in the way: braked, or in the hands of another worker. */
  left: number
  toCome: number
}

export interface SweepResult {
  /** What became of the orders of each rule. */
  kinds: Record<string, KindSwept>
  /** What went wrong beside single orders, and the rules that are wrong; what was not settled therefore is kept, and another pass tries it again. */
  faults: { code: FaultCode | ErrorName; kind?: string; message: string }[]
  /** Whether Redis answered, so that orders were claimed there. */
  claimed: boolean
  /** Whether Postgres did not answer, so that nothing is known. */
  unreachable: boolean
  durationMs: number
}

/**
 * Each rule by itself. What is wrong or fails is told and the rest goes on; a row that somebody has locked is counted and left.
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION where the timers are switched off, SHARED_DEADLINE
 */
export async function sweepOnce(runtime: Runtime, options: SweepOptions = {}): Promise<SweepResult> {
  if (!runtime.enabled) {
    const message =
      'orderTimers: the timers are switched off (ORDER_TIMERS=off or enabled: false), and then nothing is settled; switch them on'
    throw new OrderTimersError('INVALID_OPTION', message)
  }
  const { rules, wrong } = rulesOf(runtime, options)
  const log = options.onFailed ? withoutFailures(runtime.log) : runtime.log
  const events = new WorkerEmitter().logTo(log)
  const result: SweepResult = { kinds: {}, faults: wrong, claimed: false, unreachable: false, durationMs: 0 }
  const dryRun = new Map<string, number>()
  events.on('fault', ({ code, kind, message }) => result.faults.push({ code, ...(kind !== undefined && { kind }), message }))
  const failedHere = new Map<string, Map<string, Failure>>()
  const noteFailure = (failed: FailedOrder) => {
    const { kind, id, attempts } = failed
    // Without Redis nobody remembers a failure when this process has ended, so that the next pass tries again.
    const failure = { attempts, error: '', at: '', dead: false }
    failedHere.set(kind, (failedHere.get(kind) ?? new Map<string, Failure>()).set(id, failure))
    options.onFailed?.(failed)
  }
  events.on('failed', noteFailure)
  events.on('dead', noteFailure)
  events.on('dryRun', ({ kind, orders }) => dryRun.set(kind, (dryRun.get(kind) ?? 0) + orders.length))
  events.on('swept', ({ durationMs }) => {
    result.durationMs = durationMs
  })
  const { redis } = runtime
  await redis?.connection.connected(CONNECT_MS).catch(() => {})
  result.claimed = redis?.connection.ready ?? false
  const counters = await pass(runtime, { rules, events, log, stale: options.stale ?? false })
  for (const [kind, { settled, failed }] of counters) {
    const row = rules.get(kind)?.row
    if (!row) continue
    const without = result.claimed ? undefined : failedHere.get(kind)
    const { unreachable, ...counts } = await afterwards(runtime, kind, row, without)
    result.unreachable ||= unreachable
    result.kinds[kind] = { settled, failed, dryRun: dryRun.get(kind) ?? 0, ...counts }
  }
  return result
}

/** Where Postgres does not answer, or lacks something, the pass has said so. */
async function afterwards(
  runtime: Runtime,
  kind: string,
  row: SettledRows,
  failedHere: ReadonlyMap<string, Failure> | undefined,
): Promise<Partial<CountsAfterwards> & Pick<KindSwept, 'brakedSince'> & { unreachable: boolean }> {
  try {
    const failures = (await keptFailures(runtime, kind)).failures ?? failedHere
    const { overdue, retrying, locked, dead, stale, held, paused, undated, upcoming, later } = await countOrders(row, { days: 1, failures })
    const counts: CountsAfterwards = { left: overdue, retrying, locked, dead, stale, held, paused, undated, toCome: upcoming + later }
    return { ...counts, brakedSince: (await row.brake?.brakedAt()) ?? null, unreachable: false }
  } catch (error) {
    return { brakedSince: null, unreachable: faultOwnerOf(error) === 'database' }
  }
}

function rulesOf(runtime: Runtime, { stale = false, kind }: SweepOptions): { rules: Rules; wrong: SweepResult['faults'] } {
  const wrong: SweepResult['faults'] = []
  if (kind !== undefined && !runtime.kinds.includes(kind)) runtime.rule(kind)
  const found = (kind === undefined ? runtime.kinds : [kind]).flatMap((each) => {
    try {
      return [runtime.ruleByItself(each, { settlesStale: stale })]
    } catch (error) {
      // Two rules on one attribute clear and settle each other's deadlines: then neither may settle anything.
      const code = error instanceof OrderTimersError ? errorName(error.code) : undefined
      if (code === undefined || code === 'SHARED_DEADLINE') throw error
      wrong.push({ code, kind: each, message: errorText(error) })
      return []
    }
  })
  const all: BoundRule[] = stale ? found : found.flatMap((rule) => [rule, ...rule.reminders])
  return { rules: new Map(all.filter(isSwept).map((rule) => [rule.kind, rule])), wrong }
}

/** Failures are told by `onFailed`, and not a second time by the log, which often goes to the same terminal. */
function withoutFailures(log: Log): Log {
  const others = (...[level, message, fields]: Parameters<Log>) => {
    if (fields?.code !== 'RULE_FAILED' && fields?.code !== 'DEAD_LETTER') log(level, message, fields)
  }
  return Object.assign(others, { debugs: log.debugs, flush: () => log.flush() }) as Log
}

interface Pass {
  rules: Rules
  events: WorkerEmitter
  log: Log
  stale: boolean
}

async function pass(runtime: Runtime, { rules, events, log, stale }: Pass): Promise<ReadonlyMap<string, KindCounters>> {
  const { redis } = runtime
  const startedTimers: Promise<unknown>[] = []
  const { clocks, faults, reporter, sweep } = assemble(runtime, rules, {
    ...{ events, log, concurrency: DEFAULT_CONCURRENCY, leaseMs: ROW_LEASE_MS, fallback: false },
    ...(stale && { horizonMs: 0 }),
    onArming: (arming) => startedTimers.push(arming),
  })
  const endReports = redis && reportRefusedWrites(redis.connection, faults)
  await clocks.read()
  await sweep.run()
  await Promise.all(startedTimers)
  endReports?.()
  return reporter.counters
}
