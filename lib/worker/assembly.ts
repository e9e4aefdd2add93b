// Builds everything that settles orders, for a worker and for a single pass of the sweep (`order-timers sweep`), so that both have the same clocks,
// claims and limits. Each part is created after the parts that it needs. Nothing is started here.

import type { Log } from '../logger.js'
import { SharedPace } from '../redis/shared-pace.js'
import { SweepMarks } from '../redis/sweep-marks.js'
import type { BoundRule } from '../rules/rule.js'
import { poolSize } from '../sequelize/sql.js'
import type { Runtime } from '../timers/runtime.js'
import { Clocks } from './clocks.js'
import { ConnectionWarmer } from './connection-warmer.js'
import type { WorkerEmitter } from './events.js'
import { Faults } from './faults.js'
import { Intake, type IntakeDependencies } from './intake/intake.js'
import { LostData } from './intake/lost-data.js'
import { Reporter } from './reporter.js'
import { Dispatcher } from './settling/dispatcher.js'
import { IndexClaims } from './settling/index-claims.js'
import { Lateness } from './settling/lateness.js'
import { leaseMsOf } from './settling/lease.js'
import { LockedRows } from './settling/locked-rows.js'
import { MemoryClaims } from './settling/memory-claims.js'
import { Standstill } from './standstill.js'
import type { Fallback } from './sweep/fallback.js'
import { SweepReads } from './sweep/reads.js'
import { SweepSchedule } from './sweep/schedule.js'
import { Sweep } from './sweep/sweep.js'

export type Rules = ReadonlyMap<string, BoundRule>

export interface AssemblyOptions {
  events: WorkerEmitter
  log: Log
  /** How many batches of each rule are settled at once, at most. */
  concurrency: number
  /** How much of the shop's pool a backlog may take: more than 0, at most 1. */
  catchUp: number
  /** How long a claim of a plain handler is valid after its last renewal. */
  leaseMs: number
  /** When the sweep runs by schedule; false: only when `run` is called. */
  fallback: Required<Fallback> | false
  /** How far ahead the sweep arms rows. Default: until the sweep after next. */
  horizonMs?: number
  /** Called with the arming of each timer that a settlement starts. */
  onArming?(arming: Promise<unknown>): void
  /** The intake of work from Redis. Left out: only the sweep settles. */
  intake?: Pick<IntakeDependencies, 'configureRedis' | 'idle'>
}

export interface Assembly {
  standstill: Standstill
  faults: Faults
  reporter: Reporter
  latenessCounts: Lateness
  clocks: Clocks
  warmer: ConnectionWarmer
  lockedRows: LockedRows
  dispatcher: Dispatcher
  schedule: SweepSchedule
  sweep: Sweep
  lostData: LostData | undefined
  intake: Intake | undefined
  /** Milliseconds between two heartbeats, if they are not as usual. */
  beatMs: number | undefined
}

/** @param rules what is settled, by kind: rules and reminders */
export function assemble(runtime: Runtime, rules: Rules, options: AssemblyOptions): Assembly {
  const { identity, keys, redis } = runtime
  const { events, log } = options
  const concurrency = (rule: BoundRule) => concurrencyOf(rule, options.concurrency)
  const standstill = new Standstill()
  const faults = new Faults(events, log, standstill)
  const reporter = new Reporter(rules.keys(), events, faults, log, runtime.meters, redis?.feed)
  const clocks = new Clocks(rules, redis?.clock)
  const warmer = new ConnectionWarmer(rules.values(), clocks, concurrency)
  const lockedRows = new LockedRows(rules, faults)
  const latenessCounts = new Lateness(rules.keys(), { totals: runtime.meters.lateness })
  const dispatcher = new Dispatcher({
    ...{ rules, concurrency, catchUp: options.catchUp, lockedRows, worker: identity.id, reporter, latenessCounts },
    tracer: () => runtime.tracer,
    pace: redis && new SharedPace(redis.connection, keys),
    lateness: (rule, deadlineMs) => clocks.lateness(rule.kind, deadlineMs),
    arm: (kind, id, deadlineMs) => {
      const arming = redis?.arming.arm(rules.get(kind) ?? runtime.rule(kind), id, deadlineMs)
      if (arming) options.onArming?.(arming)
    },
  })
  const claims =
    redis &&
    new IndexClaims({
      ...{ leases: redis.leases, failures: redis.failures },
      leaseMs: (rule) => leaseMsOf(rule, options.leaseMs),
      skewMs: (kind, partition) => clocks.skewMs(kind, partition),
      dueAt: (kind, deadlineMs) => clocks.dueAt(kind, deadlineMs),
      keys,
      token: () => identity.token(),
    })
  const schedule = new SweepSchedule(options.fallback)
  const marks = redis && new SweepMarks(redis.connection, keys, redis.clock)
  const sweep = new Sweep({
    ...{ rules, dispatcher, memory: new MemoryClaims(), redis, claims, reporter, prefix: keys.prefix },
    reads: new SweepReads(marks, faults, () => schedule.threeIntervalsMs()),
    comesBack: options.intake !== undefined,
    horizonMs: () => options.horizonMs ?? schedule.horizonMs(),
  })
  const common = { standstill, faults, reporter, latenessCounts, clocks, warmer, lockedRows, dispatcher, schedule, sweep }
  if (!redis || !claims || !options.intake) return { ...common, lostData: undefined, intake: undefined, beatMs: undefined }
  const lostData = new LostData({ redis, keys, rules, claims, sweep, reporter })
  const intake = new Intake({ runtime, redis, rules, claims, dispatcher, faults, sweep, standstill, ...options.intake })
  return { ...common, lostData, intake, beatMs: intake.pace.beatMs }
}

/** How many batches of a rule are settled at once. A settling transaction needs a connection of the pool, and so do the shop's requests. */
export function concurrencyOf({ row }: BoundRule, most: number): number {
  if (!row) return most
  if (row.brake) return 1 // a batch locks the brake's count, so a second one would only wait
  return Math.max(1, Math.min(most, poolSize(row.guard.table.model) - 1))
}
