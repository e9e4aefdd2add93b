// The state of one rule: its orders by state, what blocks those that are due, and when a worker last read it.

import type { HeldKind } from '../hold.js'
import { SweepMarks } from '../redis/sweep-marks.js'
import { type LockHolder, lockHolders } from '../rows/lock-holders.js'
import type { RowRule } from '../rows/row-rule.js'
import { holdersOf, type LockHolder as SweepLockHolder, sweepLockName } from '../rows/sweep-lock.js'
import { type TableLock, tableLockOf } from '../rows/table-locks.js'
import type { UnverifiedSummary } from '../rows/unverified-orders.js'
import type { RuleForm } from '../rules/form.js'
import { isSwept, type ShopRule } from '../rules/rule.js'
import { inTransaction } from '../sequelize/database.js'
import { QUESTION } from '../sequelize/statement-limits.js'
import { type LeftRun, leftRun } from '../timers/bulk/unfinished.js'
import { heldKind } from '../timers/hold.js'
import type { Runtime, RuntimeRedis } from '../timers/runtime.js'
import type { LatenessByPath } from '../worker/settling/lateness.js'
import { keptFailures } from './kept-failures.js'
import { countOrders, type OrderCounts, type OrderStates, oldestOverdue, statesOf } from './order-counts.js'
import { postgresNow } from './postgres-now.js'
import { lookInWords, problemOf } from './problem.js'

const WAIT_MS = 5_000

/** The latest error is searched in this many orders that are tried again. */
const MOST_RETRIED = 200

export interface RuleStatus {
  kind: string
  form: RuleForm | undefined
  /** Its orders by state; undefined if the deadlines are only in Redis, or the rows could not be read (see `problem`). */
  rows: RowFigures | undefined
  /** For a rule whose deadlines are only in Redis: its timers there; undefined for others, and if Redis does not answer. */
  inRedis: { pending: number; overdue: number; oldestOverdue: Date | null } | undefined
  /** How far the clock by which they are due is ahead of this process's, milliseconds; left out if nothing is overdue. */
  dueAheadMs?: number
  /** Whether the counts of `rows` end at 10,000: 10,001 are more. */
  isCapped?: true
  /** Timers in the due index, and dead letters; undefined if Redis does not answer or is not used. */
  armed: number | undefined
  dead: number | undefined
  /** Its hold, or null. */
  hold: HeldKind | null
  /** When its brake stopped it; null if it has no brake or is not stopped. */
  brakedSince: Date | null
  /** For a rule with `verify`: the orders that wait for an answer. */
  unverified?: UnverifiedSummary | undefined
  /** Whether it settles nothing because of `dryRun`. */
  dryRun: boolean
  /** What is wrong with the rule or its tables, or why something could not be read. */
  problem: string | undefined
  /** Whether it only could not be checked. */
  notLookedAt: boolean
  /** How late orders were in the last hour, by all workers; undefined if Redis does not say. */
  lateness: LatenessByPath | undefined
  /** How long ago a worker last read what is overdue, milliseconds; undefined if none did, or Redis does not say. */
  readAgoMs: number | undefined
  /** The next deadline; null if there is none. */
  next: Date | null
  /** The latest error of an order that failed and is tried again; undefined if there is none. */
  lastError: { id: string; attempts: number; error: string } | undefined
  /** Its reminders that failed on orders. */
  reminders?: FailingReminder[]
  /** Who has locked a due order; the first of them. */
  rowLock: LockHolder | undefined
  /** Who has locked the whole table. */
  tableLock: TableLock | undefined
  /** Who holds the lock for reading overdue orders: another worker for a moment, or a session that blocks all workers. */
  sweepLock: SweepLockHolder | undefined
  /** A bulk run whose process is gone, and that still holds the rule. */
  leftRun: LeftRun | undefined
}

export interface FailingReminder {
  kind: string
  dead: number
  /** The same as for the rule. */
  lastError: RuleStatus['lastError']
}

/** Counts; each order is in one state. */
export interface RowFigures extends OrderStates {
  /** The earliest deadline of those that are `overdue`. */
  oldestOverdue: Date | null
  /** For `pending`: due within an hour from now. */
  withinHour: number
}

export function unknownRule(runtime: Runtime, kind: string, problem?: string): RuleStatus {
  const nothing = {
    rows: undefined,
    inRedis: undefined,
    armed: undefined,
    dead: undefined,
    lateness: undefined,
    readAgoMs: undefined,
    lastError: undefined,
  }
  const noLocks = { rowLock: undefined, tableLock: undefined, sweepLock: undefined, leftRun: undefined }
  return {
    ...{ kind, form: runtime.form(kind), ...nothing, ...noLocks },
    ...{ hold: null, brakedSince: null, dryRun: false, problem, notLookedAt: false, next: null },
  }
}

/**
 * Never rejects.
 * @param redis undefined if it does not answer or is not used
 */
export async function ruleStatus(
  rule: ShopRule,
  runtime: Runtime,
  { postgresAnswers, redis }: { postgresAnswers: boolean; redis: RuntimeRedis | undefined },
): Promise<RuleStatus> {
  const { kind, row } = rule
  const found = unknownRule(runtime, kind)
  try {
    const { failed } = redis ? await keptFailures(runtime, kind) : { failed: undefined }
    if (redis && failed) found.lastError = await lastErrorOf(redis, kind, failed.retrying)
    found.dead = failed?.dead.length
    if (redis) found.reminders = await failingReminders(redis, runtime, rule)
    found.armed = await redis?.index.count(kind, WAIT_MS)
    const first = await redis?.index.first(kind, WAIT_MS)
    found.next = first === undefined ? null : new Date(first)
    if (redis && !isSwept(rule)) await readRedis(redis, found)
    if (redis && isSwept(rule)) found.readAgoMs = await new SweepMarks(redis.connection, runtime.keys, redis.clock).age(kind)
    if (!row || !postgresAnswers) return found
    found.dryRun = row.options.dryRun
    found.tableLock = await tableLockOf(row.guard.table)
    if (found.tableLock?.keepsFromReading) return found
    if (row.deadline.in !== 'redis') await readRows(row, runtime, found, await countOrders(row, { days: 1, failed }))
    found.unverified = await row.verification?.unverified.summary()
    const standing = await row.holds.standing()
    if (standing[0]) found.hold = heldKind(kind, standing[0])
    if (row.brake) found.brakedSince = await row.brake.brakedAt()
    found.leftRun = await leftRun(row, runtime.keys.prefix, standing)
    const { problem, notLookedAt } = await lookInWords(row)
    found.problem = problem ?? notLookedAt
    found.notLookedAt = problem === undefined && notLookedAt !== undefined
  } catch (error) {
    const { message, isConfiguration } = await problemOf(rule, error)
    found.problem = message
    found.notLookedAt = !isConfiguration
  }
  return found
}

async function readRows(row: RowRule, runtime: Runtime, found: RuleStatus, counts: OrderCounts): Promise<void> {
  found.rows = { ...statesOf(counts), oldestOverdue: oldestOverdue(counts), withinHour: counts.withinHour }
  if (found.rows.oldestOverdue) found.dueAheadMs = Math.round((await postgresNow(row)) - Date.now())
  found.next = counts.samples.upcoming[0]?.deadline ?? null
  const lockedIds = counts.samples.locked.map(({ id }) => id)
  const { rowLock, sweepLock } = await locksOf(row, runtime, found.kind, lockedIds)
  Object.assign(found, { rowLock, sweepLock })
}

async function readRedis(redis: RuntimeRedis, found: RuleStatus): Promise<void> {
  const { pending, overdue, oldestMs, nextMs, nowMs } = await figuresInRedis(redis, found.kind, WAIT_MS)
  if (oldestMs !== null) found.dueAheadMs = nowMs - Date.now()
  found.inRedis = { pending, overdue, oldestOverdue: oldestMs === null ? null : new Date(oldestMs) }
  found.next = nextMs === null ? null : new Date(nextMs)
}

/**
 * The timers of a rule whose deadlines are only in Redis. Timers that wait for another attempt are in the index under the time of that attempt. Claimed
 * timers are not in it.
 * @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error
 */
export async function figuresInRedis({ index, clock }: RuntimeRedis, kind: string, waitMs: number) {
  const nowMs = await clock.now()
  const first = async (from: string, until: string) => (await index.between(kind, from, until, 1, waitMs))[0]?.deadlineMs ?? null
  const [all, overdue, oldestMs, nextMs] = await Promise.all([
    index.count(kind, waitMs),
    index.count(kind, waitMs, nowMs),
    first('-inf', String(nowMs)),
    first(`(${nowMs}`, '+inf'),
  ])
  return { pending: Math.max(0, all - overdue), overdue, oldestMs, nextMs, nowMs }
}

/** Who blocks due orders. @param lockedIds orders whose rows are locked @throws what Postgres or Sequelize throws */
export async function locksOf(
  row: RowRule,
  { keys }: Runtime,
  kind: string,
  lockedIds: readonly string[],
): Promise<Pick<RuleStatus, 'rowLock' | 'sweepLock' | 'tableLock'>> {
  const { sequelize, table } = row.guard.table
  const lock = sweepLockName(keys.prefix, kind, table)
  const [rowLock] = lockedIds.length > 0 ? await lockHolders(row.guard, lockedIds).catch(() => []) : []
  const [sweepLock] = await inTransaction(sequelize, QUESTION, (transaction) => holdersOf(sequelize, lock, transaction)).catch(() => [])
  return { rowLock, sweepLock, tableLock: await tableLockOf(row.guard.table) }
}

/** @throws OrderTimersError REDIS_UNAVAILABLE, and what Redis answers as an error */
export async function failingReminders(redis: RuntimeRedis, runtime: Runtime, { reminders }: ShopRule): Promise<FailingReminder[]> {
  const failing: FailingReminder[] = []
  for (const { kind } of reminders) {
    const { dead, retrying } = (await keptFailures(runtime, kind)).failed ?? { dead: [], retrying: [] }
    if (dead.length + retrying.length > 0) failing.push({ kind, dead: dead.length, lastError: await lastErrorOf(redis, kind, retrying) })
  }
  return failing
}

/** The latest error among the first 200 orders that are tried again. */
export async function lastErrorOf({ failures }: RuntimeRedis, kind: string, retrying: readonly string[]): Promise<RuleStatus['lastError']> {
  if (retrying.length === 0) return undefined
  const ids = retrying.slice(0, MOST_RETRIED)
  const [last] = [...(await failures.of(kind, ids))].sort(([, one], [, other]) => other.at.localeCompare(one.at))
  return last && { id: last[0], attempts: last[1].attempts, error: last[1].error }
}
