// One pass of the sweep, by hand: an ordinary one, or one that settles also what `staleAfter` holds back. It goes through the workers' own door, with
// their claims and guards, so that it may run beside them.

import { hostname } from 'node:os'
import { OrderTimersError } from '../errors.js'
import type { Failure } from '../redis/due-index.js'
import { SweepMarks } from '../redis/sweep-marks.js'
import type { BoundRule, RowRule } from '../rules/rule.js'
import { poolSize } from '../rules/sequelize-sql.js'
import type { Runtime } from '../runtime.js'
import { IndexClaims, MemoryClaims } from '../worker/claims.js'
import { Clocks } from '../worker/clocks.js'
import { Dispatcher, type KindCounters } from '../worker/dispatcher.js'
import { type FaultCode, WorkerEmitter } from '../worker/events.js'
import { Faults } from '../worker/faults.js'
import { ROW_LEASE_MS } from '../worker/lease.js'
import { tellRefusedWrites } from '../worker/refused-writes.js'
import { Sweep } from '../worker/sweep.js'
import { SweepReads } from '../worker/sweep-reads.js'
import { type Census, takeCensus } from './census.js'
import { keptFailures } from './kept-failures.js'

const CONCURRENCY = 2
const PATIENCE_MS = 2_000
const HORIZON_MS = 3_600_000

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
export interface KindSwept extends Partial<Standing> {
  settled: number
  /** With `dryRun`: would have been settled. They are `left` still. */
  rehearsed: number
  /** Attempts that failed in this pass; the orders are counted under `retrying` or `dead`. */
  failed: number
  /** Since when its brake has stopped the rule. */
  brakedSince: Date | null
}

/** As `plan` and `status` count; nothing of it where it could not be counted. In a pass over what is stale nothing counts as `stale`. */
interface Standing extends Pick<Census, 'retrying' | 'locked' | 'dead' | 'stale' | 'held' | 'paused' | 'undated'> {
  /** Overdue, and nothing in the way: braked, or in the hands of another worker. */
  left: number
  toCome: number
}

export interface SweepResult {
  /** What became of the orders of each rule. */
  kinds: Record<string, KindSwept>
  /** What went wrong beside single orders: what it kept back was kept, and another pass tries it again. */
  faults: { code: FaultCode; message: string }[]
  /** Whether Redis answered, so that orders were claimed there. */
  claimed: boolean
  durationMs: number
}

/**
 * What fails is told and the rest goes on; a row that somebody has locked is counted and left.
 * @throws OrderTimersError UNKNOWN_KIND, INVALID_OPTION where the timers are switched off, INVALID_MODEL, INVALID_STATUS
 */
export async function sweepOnce(runtime: Runtime, options: SweepOptions = {}): Promise<SweepResult> {
  if (!runtime.enabled) {
    const message =
      'orderTimers: the timers are switched off (ORDER_TIMERS=off or enabled: false), and then nothing is settled; switch them on'
    throw new OrderTimersError('INVALID_OPTION', message)
  }
  const rules = rulesOf(runtime, options)
  const events = new WorkerEmitter().logTo(runtime.log)
  const result: SweepResult = { kinds: {}, faults: [], claimed: false, durationMs: 0 }
  const rehearsed = new Map<string, number>()
  events.on('fault', ({ code, message }) => result.faults.push({ code, message }))
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
  events.on('rehearsed', ({ kind, orders }) => rehearsed.set(kind, (rehearsed.get(kind) ?? 0) + orders.length))
  events.on('swept', ({ durationMs }) => {
    result.durationMs = durationMs
  })
  const { redis } = runtime
  await redis?.connection.connected(PATIENCE_MS).catch(() => {})
  result.claimed = redis?.connection.ready ?? false
  const counters = await pass(runtime, rules, events, options.stale ? 0 : HORIZON_MS)
  for (const [kind, { settled, failed }] of counters) {
    const row = rules.get(kind)?.row as RowRule
    const without = result.claimed ? undefined : failedHere.get(kind)
    result.kinds[kind] = { settled, failed, rehearsed: rehearsed.get(kind) ?? 0, ...(await afterwards(runtime, kind, row, without)) }
  }
  return result
}

/** Where Postgres does not answer, or lacks something, the pass has said so. */
async function afterwards(
  runtime: Runtime,
  kind: string,
  row: RowRule,
  failedHere: ReadonlyMap<string, Failure> | undefined,
): Promise<Partial<Standing> & Pick<KindSwept, 'brakedSince'>> {
  try {
    const failures = (await keptFailures(runtime, kind)).failures ?? failedHere
    const { overdue, retrying, locked, dead, stale, held, paused, undated, upcoming, later } = await takeCensus(row, { days: 1, failures })
    const standing: Standing = { left: overdue, retrying, locked, dead, stale, held, paused, undated, toCome: upcoming + later }
    return { ...standing, brakedSince: (await row.brake?.brakedAt()) ?? null }
  } catch {
    return { brakedSince: null }
  }
}

function rulesOf(runtime: Runtime, { stale = false, kind }: SweepOptions): ReadonlyMap<string, BoundRule> {
  if (kind !== undefined) runtime.rule(kind)
  const all = stale ? runtime.rulesSettlingStale().map(withoutUpkeep) : runtime.workerRules()
  const wanted = all.filter((rule) => rule.row?.pending && (kind === undefined || kind === rule.kind || kind === rule.reminder?.of))
  return new Map(wanted.map((rule) => [rule.kind, rule]))
}

/** A pass over what is stale settles what `plan` showed as stale, and gives no order a deadline that would be settled unseen. */
function withoutUpkeep(rule: BoundRule): BoundRule {
  return rule.row ? { ...rule, row: { ...rule.row, upkeep: undefined } } : rule
}

async function pass(
  runtime: Runtime,
  rules: ReadonlyMap<string, BoundRule>,
  events: WorkerEmitter,
  horizonMs: number,
): Promise<ReadonlyMap<string, KindCounters>> {
  const { redis, log, keys } = runtime
  const faults = new Faults(events, log)
  const clocks = new Clocks(rules, redis?.clock)
  const arming: Promise<unknown>[] = []
  const dispatcher = new Dispatcher({
    ...{ rules, worker: `${hostname()}:${process.pid}`, events, faults, log },
    concurrency: ({ row }) => Math.max(1, Math.min(CONCURRENCY, row ? poolSize(row.guard.table.model) - 1 : CONCURRENCY)),
    lateness: (rule, deadlineMs) => clocks.lateness(rule.kind, deadlineMs),
    arm: (kind, id, deadlineMs) => {
      if (redis) arming.push(redis.arming.arm(runtime.rule(kind), id, deadlineMs))
    },
  })
  const claims =
    redis &&
    new IndexClaims(
      redis.index,
      () => ROW_LEASE_MS,
      (kind) => clocks.skewMs(kind),
    )
  const reads = new SweepReads(redis && new SweepMarks(redis.connection, keys, redis.clock), faults, () => undefined)
  const sweep = new Sweep({
    ...{ rules, dispatcher, memory: new MemoryClaims(), events, faults, log, prefix: keys.prefix, reads },
    redis: redis && claims && { index: redis.index, claims, answering: () => redis.connection.answering },
    horizonMs: () => horizonMs,
  })
  const endTelling = redis && tellRefusedWrites(redis.connection, faults)
  await clocks.read()
  await sweep.run()
  await Promise.all(arming)
  endTelling?.()
  return dispatcher.counters
}
