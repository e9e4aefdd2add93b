// `startExpiryWorker(…)`: starts the parts of the assembly in order and stops them in reverse. It installs no signal handlers and never ends
// the process.

import { RUNTIME, type Runtime } from '../timers/runtime.js'
import { within } from '../wait.js'
import { type Assembly, assemble } from './assembly.js'
import { WorkerEmitter } from './events.js'
import type { Health } from './health.js'
import { healthOf } from './health-of.js'
import { type ParsedWorkerOptions, parseWorkerOptions, type WorkerOptions } from './options.js'
import { runtimeOf } from './runtime-of.js'
import { startLine } from './start-line.js'

/** How long `stop()` waits for running batches. */
const DRAIN_MS = 10_000

/** How long the start waits for connections to Postgres. Until its clock is known, timers may be claimed too early and put back. */
const READY_MS = 1_000

/** How long the start line waits for a proof that expiry events arrive. */
const PROOF_MS = 1_500

/** A running worker; see `WorkerEvents` for what it emits. */
export class ExpiryWorker extends WorkerEmitter {
  /** When the first attempt to subscribe and the first sweep have ended. Never rejects: `health()` shows what went wrong. */
  readonly ready: Promise<void>
  /** Read by `runningWorkers`. */
  private readonly parts: Assembly
  private stopping: Promise<void> | undefined
  private endBeats: (() => Promise<void>) | undefined

  /** @internal use `startExpiryWorker` */
  constructor(
    private readonly runtime: Runtime,
    { configureRedis, idle, ...options }: ParsedWorkerOptions,
  ) {
    super()
    const { log } = runtime
    this.logTo(log)
    const rules = new Map(runtime.workerRules().map((rule) => [rule.kind, rule]))
    this.parts = assemble(runtime, rules, { ...options, events: this, log, intake: { configureRedis, idle } })
    runtime.running.add(this)
    this.ready = runtime.enabled ? this.start() : Promise.resolve()
  }

  /** The worker's state and faults. It asks no server, so a health check may call it often. */
  health(): Health {
    return healthOf(this.parts, this.stopping !== undefined || !this.runtime.enabled)
  }

  /** @internal for express-order-timers/testing */
  get [RUNTIME](): Runtime {
    return this.runtime
  }

  /** @internal A sweep in addition to the schedule. Never rejects. */
  sweepNow(): Promise<void> {
    return this.parts.sweep.run()
  }

  /** Claims nothing more, waits for running batches (10 s at most) and closes what the worker opened. A second call returns the same promise. */
  stop(): Promise<void> {
    this.stopping ??= this.shutDown()
    return this.stopping
  }

  private async start(): Promise<void> {
    const { standstill, warmer, intake, schedule, lockedRows, sweep } = this.parts
    standstill.start()
    await within(READY_MS, warmer.start())
    if (this.stopping) return
    intake?.start()
    schedule.start(sweep)
    lockedRows.start()
    this.endBeats = this.runtime.beats?.addWorker(this.parts)
    await intake?.attempted
    void this.logStart()
    await sweep.run()
  }

  private async shutDown(): Promise<void> {
    const { standstill, warmer, intake, schedule, lockedRows, sweep, lostData, dispatcher, faults } = this.parts
    await schedule.stop()
    await dispatcher.drain(Promise.all([intake?.stop(), lostData?.stop(), sweep.stop(), lockedRows.stop()]), DRAIN_MS)
    warmer.stop()
    await this.endBeats?.()
    standstill.stop()
    faults.stop()
    this.runtime.running.delete(this)
    this.emitSafely('stopped')
  }

  /** Logs the start line once, after a short wait for the first proof that expiry events arrive. */
  private async logStart(): Promise<void> {
    const { intake, schedule } = this.parts
    await within(PROOF_MS, Promise.resolve(intake?.prove()))
    if (this.stopping) return
    const { redis } = this.health()
    const { kinds, log } = this.runtime
    const where = this.runtime.redis?.source.describe() ?? ''
    const line = startLine({ kinds, nextSweep: schedule.next, redis: redis && { ...redis, where } })
    log('info', line, { code: 'WORKER_STARTED', kinds, ...(redis && { redis: where, events: redis.events }) })
  }
}

/**
 * Starts a worker on timers, or on the Express app that they are mounted on. Returns at once, even if Redis is down.
 * @throws OrderTimersError NOT_MOUNTED, INVALID_OPTION, INVALID_DURATION, INVALID_MODEL, INVALID_STATUS, SHARED_DEADLINE: wrong configuration only
 */
export function startExpiryWorker(appOrTimers: unknown, options: WorkerOptions = {}): ExpiryWorker {
  const parsed = parseWorkerOptions(options)
  return new ExpiryWorker(runtimeOf(appOrTimers), parsed)
}
