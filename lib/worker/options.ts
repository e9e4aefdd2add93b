// The options of `startExpiryWorker(…)`, for this process alone.

import { type Duration, parseDuration } from '../duration.js'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'
import { type Fallback, parseFallback } from './sweep/fallback.js'

export interface WorkerOptions {
  /**
   * When the sweep over Postgres runs: a cron expression, `{ cron, timezone }`, or false for no schedule (it still runs at the start and after
   * each reconnection to Redis). Default: every minute.
   */
  fallback?: string | Fallback | false
  /** How many batches of each rule are settled at once, at most one less than the size of the Sequelize pool. Default: 2. */
  concurrency?: number
  /**
   * How much of the Sequelize pool the orders of a backlog may take, while they are settled: more than 0, at most 1. A backlog is what is overdue for
   * 5 s and longer, and what a sweep finds. One batch at a time is always settled. Default: 0.5, so that the shop's requests keep the other half.
   */
  catchUp?: number
  /** Lets the worker add `Ex` to `notify-keyspace-events` by CONFIG SET. Default: false; the setting is checked and never changed. */
  configureRedis?: boolean
  /**
   * How long a claim of a plain handler holds after its worker was last heard of; it is renewed while the handler runs. Default: 30 s; at least
   * a second, at most an hour. Claims of rules over rows hold for 3 s, or for this if it is shorter.
   */
  lease?: Duration
  /**
   * `'economy'` for a Redis that is paid for by the command: a worker with nothing to do sends 12 commands a minute at most instead of 60, and keys that other
   * services set are not scanned for. Timers are as punctual, and trouble is noticed later (docs/redis.md says how much).
   */
  idle?: 'economy'
}

export interface ParsedWorkerOptions {
  fallback: Required<Fallback> | false
  concurrency: number
  catchUp: number
  configureRedis: boolean
  leaseMs: number
  idle: 'economy' | undefined
}

/** How many batches of each rule are settled at once. */
export const DEFAULT_CONCURRENCY = 2

/** Half of Sequelize's default pool of 5 is 2: as many batches as one rule settles at once, so one rule alone catches up at full speed. */
export const DEFAULT_CATCH_UP = 0.5

const OPTIONS = ['fallback', 'concurrency', 'catchUp', 'configureRedis', 'lease', 'idle']
const SHORTEST_LEASE_MS = 1_000
const LONGEST_LEASE_MS = 3_600_000

/** @throws OrderTimersError INVALID_OPTION, INVALID_DURATION */
export function parseWorkerOptions(options: WorkerOptions): ParsedWorkerOptions {
  refuseUnknownOptions('startExpiryWorker', options, OPTIONS)
  const { concurrency = DEFAULT_CONCURRENCY, catchUp = DEFAULT_CATCH_UP, configureRedis = false, lease = '30s' } = options
  if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > 100) {
    throw invalid(`startExpiryWorker: "concurrency" must be a whole number from 1 to 100, got ${show(concurrency)}`)
  }
  if (typeof catchUp !== 'number' || !(catchUp > 0 && catchUp <= 1))
    throw invalid(`startExpiryWorker: "catchUp" must be a number more than 0 and at most 1, got ${show(catchUp)}`)
  if (typeof configureRedis !== 'boolean')
    throw invalid(`startExpiryWorker: "configureRedis" must be true or false, got ${show(configureRedis)}`)
  if (options.idle !== undefined && options.idle !== 'economy')
    throw invalid(`startExpiryWorker: "idle" must be 'economy' or left out, got ${show(options.idle)}`)
  const leaseMs = parseDuration('startExpiryWorker: "lease"', lease, { leastMs: SHORTEST_LEASE_MS, mostMs: LONGEST_LEASE_MS })
  return { fallback: parseFallback(options.fallback), concurrency, catchUp, configureRedis, leaseMs, idle: options.idle }
}

function invalid(message: string): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', message)
}
