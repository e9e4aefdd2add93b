// `startExpiryWorker(…)`: puts the worker's parts together, starts them in order and stops them in reverse. It owns no signal handlers
// and never ends the process.

import { hostname } from 'node:os'
import { OrderTimersError, show } from '../errors.js'
import { SweepMarks } from '../redis/sweep-marks.js'
import type { BoundRule } from '../rules/rule.js'
import { poolSize } from '../sequelize/sql.js'
import { type App, mountedTimers } from '../timers/mount.js'
import { RUNTIME, type Runtime } from '../timers/runtime.js'
import { within } from '../wait.js'
import { Clocks } from './clocks.js'
import { ConnectionWarmer } from './connection-warmer.js'
import { WorkerEmitter } from './events.js'
import { type Fault, Faults } from './faults.js'
import { Intake } from './intake/intake.js'
import { LostData } from './intake/lost-data.js'
import { type ParsedWorkerOptions, parseWorkerOptions, type WorkerOptions } from './options.js'
import { Reporter } from './reporter.js'
import { IndexClaims, MemoryClaims } from './settling/claims.js'
import type { KindCounters } from './settling/counters.js'
import { Dispatcher } from './settling/dispatcher.js'
import { leaseMsOf } from './settling/lease.js'
import { LockedRows } from './settling/locked-rows.js'
import { Standstill } from './standstill.js'
import { startLine } from './start-line.js'
import { type Reader, SweepReads } from './sweep/reads.js'
import { SweepSchedule } from './sweep/schedule.js'
import { Sweep } from './sweep/sweep.js'

/** How long `stop()` waits for work in hand. */
const DRAIN_MS = 10_000

/** How long the start waits for Postgres; without its clock, what is claimed too early is put back. */
const READY_MS = 1_000

/** How long the line that says so waits for a proof that events arrive. */
const PROOF_MS = 1_500

/** What the worker is at, for a health check. */
export interface Health {
  /** `ok`; `degraded`: something of `faults` is wrong, and orders are still settled, at the latest by the sweep; `stopped`. */
  status: 'ok' | 'degraded' | 'stopped'
  faults: Fault[]
  /** None with `redis: false`; all of it is about now. `events`: whether expiry events are proved to arrive, undefined where there is no proof. */
  redis: { connected: boolean; subscribed: boolean; events: boolean | undefined; externalScans: number } | undefined
  /**
   * `lastReadAt`: since when every rule's overdue orders have been read, by this worker or, where it found another one reading, by that one.
   * A sweep may end without having read, where somebody holds its lock.
   */
  sweep: { lastEndedAt: Date | undefined; lastReadAt: Date | undefined; lastReadBy: Reader | undefined; next: Date | null }
  /** Batches in hand. */
  busy: number
  kinds: Record<string, KindCounters>
  /** Expired keys that were no timers of ours, that had a malformed id, that came in too large a flood. */
  events: { external: number; malformed: number; dropped: number }
}

/** A running worker; see `WorkerEvents` for what it emits. */
export class ExpiryWorker extends WorkerEmitter {
  /** When the first attempt to subscribe and the first sweep have ended. Never rejects: what went wrong stands in `health()`. */
  readonly ready: Promise<void>
  private readonly dispatcher: Dispatcher
  private readonly lockedRows: LockedRows
  private readonly faults: Faults
  private readonly clocks: Clocks
  private readonly warmer: ConnectionWarmer
  private readonly sweep: Sweep
  private readonly schedule: SweepSchedule
  private readonly intake: Intake | undefined
  private readonly standstill = new Standstill()
  private readonly lostData: LostData | undefined
  private stopping: Promise<void> | undefined

  /** @internal use `startExpiryWorker` */
  constructor(
    private readonly runtime: Runtime,
    private readonly options: ParsedWorkerOptions,
  ) {
    super()
    const { log, redis, keys } = runtime
    this.logTo(log)
    const rules = new Map(runtime.workerRules().map((rule) => [rule.kind, rule]))
    this.faults = new Faults(this, log)
    this.faults.justWoke = () => this.standstill.justWoke
    const reporter = new Reporter(rules.keys(), this, this.faults, log)
    this.clocks = new Clocks(rules, redis?.clock)
    this.warmer = new ConnectionWarmer(rules.values(), this.clocks, (rule) => this.concurrency(rule))
    this.lockedRows = new LockedRows(rules, this.faults)
    this.dispatcher = new Dispatcher({
      ...{ lockedRows: this.lockedRows, rules, worker: `${hostname()}:${process.pid}`, events: this, faults: this.faults, log },
      concurrency: (rule) => this.concurrency(rule),
      lateness: (rule, deadlineMs) => this.clocks.lateness(rule.kind, deadlineMs),
      arm: (kind, id, deadlineMs) => void redis?.arming.arm(rules.get(kind) as BoundRule, id, deadlineMs),
    })
    const leaseMs = (kind: string) => leaseMsOf(rules.get(kind) as BoundRule, options.leaseMs)
    const catchUp = () => void this.sweep.run()
    this.lostData =
      redis &&
      new LostData({
        ...{ connection: redis.connection, index: redis.index, rules, catchUp, reporter },
        armAgain: (kinds) => this.sweep.armAgain(kinds),
      })
    const claims =
      redis &&
      new IndexClaims(
        redis.index,
        leaseMs,
        (kind) => this.clocks.skewMs(kind),
        (kind) => this.lostData?.found(kind),
      )
    this.intake =
      redis && claims
        ? new Intake({
            ...{ runtime, redis, rules, claims, dispatcher: this.dispatcher, faults: this.faults },
            configureRedis: options.configureRedis,
            catchUp,
          })
        : undefined
    this.schedule = new SweepSchedule(options.fallback, () => this.sweep, this.faults)
    this.sweep = new Sweep({
      ...{ rules, dispatcher: this.dispatcher, memory: new MemoryClaims(), events: this, faults: this.faults, log },
      redis: redis && claims && { index: redis.index, claims, answering: () => this.intake?.answering() ?? false },
      reads: new SweepReads(redis && new SweepMarks(redis.connection, keys, redis.clock), this.faults, () =>
        this.schedule.threeIntervalsMs(),
      ),
      prefix: keys.prefix,
      horizonMs: () => this.schedule.horizonMs(),
    })
    runtime.workers += 1
    this.ready = runtime.enabled ? this.start() : Promise.resolve()
  }

  /** What the worker is at. Asks nobody, so it may be called as often as a health check likes. */
  health(): Health {
    const faults = this.faults.list()
    const intake = this.intake
    const { lastRead } = this.sweep
    return {
      status: this.stopping || !this.runtime.enabled ? 'stopped' : faults.length > 0 ? 'degraded' : 'ok',
      faults,
      redis: intake && {
        connected: intake.connected,
        subscribed: intake.subscriber.subscribed,
        events: intake.events,
        externalScans: intake.externalKeys.passes,
      },
      sweep: { lastEndedAt: this.sweep.lastEndedAt, lastReadAt: lastRead?.at, lastReadBy: lastRead?.by, next: this.schedule.next },
      busy: this.dispatcher.busy,
      kinds: Object.fromEntries(this.dispatcher.counters),
      events: intake ? { ...intake.listener.counters } : { external: 0, malformed: 0, dropped: 0 },
    }
  }

  /** @internal for express-order-timers/testing */
  get [RUNTIME](): Runtime {
    return this.runtime
  }

  /** @internal A sweep beside the schedule; never rejects. */
  sweepNow(): Promise<void> {
    return this.sweep.run()
  }

  /** Takes nothing new, waits for the work in hand (10 s at most) and closes what the worker opened. A second call returns the same promise. */
  stop(): Promise<void> {
    this.stopping ??= this.shutDown()
    return this.stopping
  }

  private async start(): Promise<void> {
    this.standstill.start()
    await within(READY_MS, this.warmer.start())
    if (this.stopping) return
    this.intake?.start()
    this.schedule.start()
    this.lockedRows.start()
    await this.intake?.subscriber.attempted
    void this.tellStart()
    await this.sweep.run()
  }

  /** Waits a little for the first proof that events arrive. */
  private async tellStart(): Promise<void> {
    await within(PROOF_MS, Promise.resolve(this.intake?.expiryProbe.send()))
    if (this.stopping) return
    const { redis } = this.health()
    const { kinds, log } = this.runtime
    const where = this.runtime.redis?.source.describe() ?? ''
    const line = startLine({ kinds, nextSweep: this.schedule.next, redis: redis && { ...redis, where } })
    log('info', line, { code: 'WORKER_STARTED', kinds, ...(redis && { redis: where, events: redis.events }) })
  }

  private async shutDown(): Promise<void> {
    await this.schedule.stop()
    const incoming = Promise.all([this.intake?.stop(), this.lostData?.stop(), this.sweep.stop()])
    await this.dispatcher.drain(incoming, DRAIN_MS)
    this.warmer.stop()
    await this.lockedRows.stop()
    this.standstill.stop()
    this.faults.stop()
    this.runtime.workers -= 1
    this.tell('stopped')
  }

  /** A settling transaction needs a connection of the pool, and so do the shop's requests. */
  private concurrency(rule: BoundRule): number {
    if (!rule.row) return this.options.concurrency
    if (rule.row.brake) return 1 // its count is locked by the batch in hand
    return Math.max(1, Math.min(this.options.concurrency, poolSize(rule.row.guard.table.model) - 1))
  }
}

/**
 * Starts a worker on timers, or on the Express app that they are mounted on. Returns at once; the shop boots although Redis is down.
 * @throws OrderTimersError NOT_MOUNTED, INVALID_OPTION, INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE: wrong configuration only
 */
export function startExpiryWorker(appOrTimers: unknown, options: WorkerOptions = {}): ExpiryWorker {
  const parsed = parseWorkerOptions(options)
  return new ExpiryWorker(runtimeOf(appOrTimers), parsed)
}

function runtimeOf(appOrTimers: unknown): Runtime {
  const own = (appOrTimers as { [RUNTIME]?: Runtime } | null | undefined)?.[RUNTIME]
  if (own) return own
  const forms = 'pass the timers themselves: startExpiryWorker(timers)'
  if (!isApp(appOrTimers)) {
    throw new OrderTimersError(
      'NOT_MOUNTED',
      `startExpiryWorker: this must be an Express app or timers, got ${show(appOrTimers)}; ${forms}`,
    )
  }
  const mounted = mountedTimers(appOrTimers)
  if (mounted.length === 1) return (mounted[0] as unknown as { [RUNTIME]: Runtime })[RUNTIME]
  if (mounted.length > 1) {
    throw new OrderTimersError(
      'NOT_MOUNTED',
      `startExpiryWorker: ${mounted.length} timers are mounted on this app, and it is not clear which are meant; ${forms}`,
    )
  }
  const missing = 'app.use(orderTimers({ redis, rules }))'
  throw new OrderTimersError('NOT_MOUNTED', `startExpiryWorker: no timers are mounted on this app; add ${missing} before, or ${forms}`)
}

function isApp(value: unknown): value is App {
  const { get, set, on } = (value ?? {}) as Partial<App>
  return typeof get === 'function' && typeof set === 'function' && typeof on === 'function'
}
