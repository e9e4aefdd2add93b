// One pass of the sweep, by hand: an ordinary one, or one that also settles what `staleAfter` holds back. It uses what workers use (worker/assembly.ts),
// with the same claims and guards, so it may run at the same time as they do.

import { errorText } from '../error-text.js'
import { type ErrorName, errorName, OrderTimersError } from '../errors.js'
import type { Log } from '../logger.js'
import type { FailedIds, Failure } from '../redis/failed-timers.js'
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
import type { Sweep } from '../worker/sweep/sweep.js'
import { keptFailures } from './kept-failures.js'
import { countOrders, type OrderCounts, statesOf } from './order-counts.js'

/** How long the pass waits for a connection to Redis. */
const CONNECT_MS = 2_000

export interface SweepOptions {
  /** Also settles orders that are overdue by more than `staleAfter`. */
  stale?: boolean
  /** Sweeps only this rule. */
  kind?: string | undefined
  /** Called with each order on which a rule failed, as it happens. */
  onFailed?: (failure: FailedOrder) => void
}

export interface FailedOrder {
  kind: string
  id: string
  error: unknown
  attempts: number
}

/** The outcome for a rule's orders. Each is counted once: as settled, or by its state at the end of the pass. */
export interface KindSwept extends Partial<CountsAfterwards> {
  settled: number
  /** Whether this pass read what is overdue; false if another session held the sweep's lock, or a fault came first. Then `left` are not in hand. */
  wasRead: boolean
  /** With the option `dryRun`: how many would have been settled. They still count as `left`. */
  dryRun: number
  /** Attempts that failed in this pass; the orders are counted under `retrying` or `dead`. */
  failed: number
  /** When the brake stopped the rule; null if it did not. */
  brakedSince: Date | null
}

/** Counted as `plan` and `status` do; left out if they could not be counted. In a pass with `stale` no order counts as `stale`. */
interface CountsAfterwards
  extends Pick<OrderCounts, 'retrying' | 'locked' | 'dead' | 'stale' | 'held' | 'unverified' | 'paused' | 'undated'> {
  /** Overdue, and in no other state: stopped by the brake, or claimed by another worker. */
  left: number
  toCome: number
}

export interface SweepResult {
  /** The outcome for the orders of each rule. */
  kinds: Record<string, KindSwept>
  /** What went wrong, apart from single orders, and wrong rules. Orders that were not settled for that reason are kept for another pass. */
  faults: { code: FaultCode | ErrorName; kind?: string; message: string }[]
  /** Whether Redis answered, so that orders were claimed there. */
  claimed: boolean
  /** Whether Postgres did not answer, so that nothing is known. */
  unreachable: boolean
  durationMs: number
}

/**
 * Sweeps each rule separately. Faults and failures are recorded, and the rest continues; a locked row is counted and left.
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION if the timers are switched off, SHARED_DEADLINE
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
  const record = recordOf(events, options.onFailed)
  const connection = runtime.redis?.connection
  await connection?.connected(CONNECT_MS).catch(() => {})
  const claimed = connection?.ready ?? false
  const { counters, sweep } = await pass(runtime, { rules, events, log, stale: options.stale ?? false })
  const kinds: Record<string, KindSwept> = {}
  let unreachable = false
  for (const [kind, { settled, failed }] of counters) {
    const row = rules.get(kind)?.row
    if (!row) continue
    const after = await afterwards(runtime, kind, row, claimed ? undefined : record.failures.get(kind))
    unreachable ||= after.unreachable
    kinds[kind] = { settled, wasRead: sweep.hasRead(kind), failed, dryRun: record.dryRun.get(kind) ?? 0, ...after.counts }
  }
  return { kinds, faults: [...wrong, ...record.faults], claimed, unreachable, durationMs: record.durationMs }
}

interface PassRecord {
  faults: SweepResult['faults']
  dryRun: Map<string, number>
  /** By kind and id. Without Redis a failure is forgotten when this process ends, so the next pass tries again. */
  failures: Map<string, Map<string, Failure>>
  durationMs: number
}

/** Events of the pass. */
function recordOf(events: WorkerEmitter, onFailed: SweepOptions['onFailed']): PassRecord {
  const record: PassRecord = { faults: [], dryRun: new Map(), failures: new Map(), durationMs: 0 }
  const { dryRun, failures, faults } = record
  const addFailure = (failed: FailedOrder) => {
    const { kind, id, attempts } = failed
    const failure = { attempts, error: '', at: '', dead: false }
    failures.set(kind, (failures.get(kind) ?? new Map<string, Failure>()).set(id, failure))
    onFailed?.(failed)
  }
  events.on('fault', ({ code, kind, message }) => faults.push({ code, ...(kind !== undefined && { kind }), message }))
  events.on('failed', addFailure)
  events.on('dead', addFailure)
  events.on('dryRun', ({ kind, orders }) => dryRun.set(kind, (dryRun.get(kind) ?? 0) + orders.length))
  events.on('swept', ({ durationMs }) => {
    record.durationMs = durationMs
  })
  return record
}

interface Afterwards {
  counts: Partial<CountsAfterwards> & Pick<KindSwept, 'brakedSince'>
  /** Whether Postgres did not answer. */
  unreachable: boolean
}

/** Counts a rule's orders once the pass has ended. If that fails nothing is counted: the pass has reported the same error. */
async function afterwards(
  runtime: Runtime,
  kind: string,
  row: SettledRows,
  failedHere: ReadonlyMap<string, Failure> | undefined,
): Promise<Afterwards> {
  try {
    const failed = (await keptFailures(runtime, kind)).failed ?? idsOf(failedHere)
    const { overdue: left, pending: toCome, ...states } = statesOf(await countOrders(row, { days: 1, failed }))
    const counts: CountsAfterwards = { left, ...states, toCome }
    return { counts: { ...counts, brakedSince: (await row.brake?.brakedAt()) ?? null }, unreachable: false }
  } catch (error) {
    return { counts: { brakedSince: null }, unreachable: faultOwnerOf(error) === 'database' }
  }
}

function idsOf(failures: ReadonlyMap<string, Failure> | undefined): FailedIds | undefined {
  const ids = (isDead: boolean) => [...(failures ?? [])].flatMap(([id, { dead }]) => (dead === isDead ? [id] : []))
  return failures && { dead: ids(true), retrying: ids(false) }
}

function rulesOf(runtime: Runtime, { stale = false, kind }: SweepOptions): { rules: Rules; wrong: SweepResult['faults'] } {
  const wrong: SweepResult['faults'] = []
  if (kind !== undefined && !runtime.kinds.includes(kind)) runtime.rule(kind)
  const found = (kind === undefined ? runtime.kinds : [kind]).flatMap((each) => {
    try {
      return [runtime.ruleByItself(each, { settlesStale: stale })]
    } catch (error) {
      // Two rules on one attribute would clear and settle each other's deadlines, so neither may settle anything.
      const code = error instanceof OrderTimersError ? errorName(error.code) : undefined
      if (code === undefined || code === 'SHARED_DEADLINE') throw error
      wrong.push({ code, kind: each, message: errorText(error) })
      return []
    }
  })
  const all: BoundRule[] = stale ? found : found.flatMap((rule) => [rule, ...rule.reminders])
  return { rules: new Map(all.filter(isSwept).map((rule) => [rule.kind, rule])), wrong }
}

/** `onFailed` reports failures, so the log, which often goes to the same terminal, leaves them out. */
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

interface Passed {
  counters: ReadonlyMap<string, KindCounters>
  sweep: Pick<Sweep, 'hasRead'>
}

async function pass(runtime: Runtime, { rules, events, log, stale }: Pass): Promise<Passed> {
  const { redis } = runtime
  const startedTimers: Promise<unknown>[] = []
  const { clocks, faults, reporter, sweep } = assemble(runtime, rules, {
    ...{ events, log, concurrency: DEFAULT_CONCURRENCY, catchUp: 1, leaseMs: ROW_LEASE_MS, fallback: false },
    ...(stale && { horizonMs: 0 }),
    onArming: (arming) => startedTimers.push(arming),
  })
  const endReports = redis && reportRefusedWrites(redis.connection, faults)
  await clocks.read()
  await sweep.run()
  await sweep.verifiedToo()
  await Promise.all(startedTimers)
  endReports?.()
  return { counters: reporter.counters, sweep }
}
