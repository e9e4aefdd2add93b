// What is wrong with one rule, from the facts that `status` has gathered. Asks no server.

import { cappedText } from '../rows/cap.js'
import { describeHolder } from '../rows/sweep-lock.js'
import { ageText } from './age-text.js'
import { LATE_COUNT, LATE_P99_MS, OVERDUE_MS, sweepLimits, VERIFY_WAIT_MS } from './limits.js'
import type { RuleStatus } from './rule-status.js'
import { degraded, failing, type Trouble } from './trouble.js'

/** A lock that is held for longer is not normal work. */
const LONG_LOCK_S = 5
const STUCK_LOCK_S = 30

export interface RuleContext {
  /** Milliseconds between two sweeps; null if none is scheduled. */
  sweepMs: number | null
  now: number
  /** Whether a backlog shrinks. */
  catchingUp: boolean
}

export function ruleTroubles(rule: RuleStatus, context: RuleContext): Trouble[] {
  const { kind, problem, notLookedAt, brakedSince } = rule
  const found = [...lockTroubles(rule), ...sweepTroubles(rule, context), ...overdueTroubles(rule, context), ...stuckTroubles(rule, context)]
  if (problem !== undefined) found.push(notLookedAt ? degraded('NOT_LOOKED_AT', problem) : failing('INVALID_MODEL', problem))
  if (brakedSince !== null) {
    const message = `stopped by its brake since ${brakedSince.toISOString()}, and settles nothing`
    found.push(
      failing('BRAKED', message, `look at what it settled (order-timers history ${kind} --since 1h), then order-timers release ${kind}`),
    )
  }
  if (rule.leftRun) found.push(failing('RUN_UNFINISHED', rule.leftRun.message, rule.leftRun.remedy))
  const named = (about: string, troubles: Trouble[]) =>
    troubles.map((trouble) => ({ ...trouble, kind: about, message: `${about}: ${trouble.message.replace(new RegExp(`^${about}: `), '')}` }))
  return [...named(kind, found), ...(rule.reminders ?? []).flatMap((one) => named(one.kind, failureTroubles(one, 'the reminder')))]
}

function lockTroubles({ tableLock, rowLock, sweepLock, rows, isCapped }: RuleStatus): Trouble[] {
  const found: Trouble[] = []
  if (tableLock && (tableLock.openForS ?? Number.POSITIVE_INFINITY) > LONG_LOCK_S) {
    const level = (tableLock.openForS ?? 0) > STUCK_LOCK_S || tableLock.keepsFromReading ? failing : degraded
    found.push(level('TABLE_LOCKED', `its whole table is locked, and nothing of it is settled: by ${holder(tableLock)}`, ending(tableLock)))
  }
  if (rowLock && (rowLock.openForS ?? 0) > LONG_LOCK_S) {
    const more =
      (rows?.locked ?? 0) > 1
        ? `${counted(rows?.locked ?? 0, isCapped)} orders that are due are locked, such as ${rowLock.id}`
        : `order ${rowLock.id} is due and locked`
    found.push(degraded('ROW_LOCKED', `${more}: by ${holder(rowLock)}`, ending(rowLock)))
  }
  if (sweepLock && (sweepLock.openMs ?? Number.POSITIVE_INFINITY) > LONG_LOCK_S * 1_000) {
    const message = `another session holds the sweep's lock, so no worker reads what is overdue: ${describeHolder(sweepLock)}`
    found.push(failing('SWEEP_BLOCKED', message, ending({ ...sweepLock, prepared: null })))
  }
  return found
}

function sweepTroubles({ readAgoMs }: RuleStatus, { sweepMs }: RuleContext): Trouble[] {
  const { lateReadMs, goneReadMs = 0 } = sweepLimits(sweepMs)
  if (readAgoMs === undefined || sweepMs === null || lateReadMs === undefined || readAgoMs <= lateReadMs) return []
  const message = `no worker has read what is overdue for ${ageText(readAgoMs)}, and a sweep is due every ${ageText(sweepMs)}`
  return [(readAgoMs > goneReadMs ? failing : degraded)('SWEEP_LATE', message, 'look at the log of the workers')]
}

function overdueTroubles(
  { rows, inRedis, dueAheadMs = 0, brakedSince, hold, dryRun, dead, lateness, isCapped }: RuleStatus,
  { sweepMs, now, catchingUp }: RuleContext,
): Trouble[] {
  const found: Trouble[] = []
  const { overdue = 0, oldestOverdue = null } = rows ?? inRedis ?? {}
  const ageMs = oldestOverdue === null ? 0 : now + dueAheadMs - oldestOverdue.getTime()
  if (overdue > 0 && ageMs > OVERDUE_MS && brakedSince === null && hold === null && !dryRun) {
    const isStuck = ageMs > sweepLimits(sweepMs).stuckMs && !catchingUp
    const unknown = dead === undefined ? '; on which orders the rule failed is only in the logs of the workers' : ''
    const message = `${counted(overdue, isCapped)} ${overdue === 1 ? 'order is' : 'orders are'} overdue without a known reason, the oldest for ${ageText(ageMs)}${unknown}`
    found.push(
      (isStuck ? failing : degraded)(
        'OVERDUE',
        message,
        isStuck ? 'order-timers doctor' : inRedis ? 'a worker tries again automatically' : 'the next sweep settles what it can',
      ),
    )
  }
  if (lateness && lateness.count >= LATE_COUNT && (lateness.p99Ms ?? 0) > LATE_P99_MS)
    found.push(
      degraded(
        'LATE',
        `of the orders of the last hour one in a hundred was late by ${ageText(lateness.p99Ms ?? 0)} or more`,
        'order-timers doctor',
      ),
    )
  return found
}

/** Orders on which a rule or a reminder fails. */
function failureTroubles({ kind, dead = 0, lastError }: Pick<RuleStatus, 'kind' | 'dead' | 'lastError'>, who: string): Trouble[] {
  const found: Trouble[] = []
  if (dead > 0) {
    const end = who === 'the rule' ? `nothing settles ${dead === 1 ? 'it' : 'them'}` : 'is not tried again'
    const message = `${who} has used all its attempts on ${ordersText(dead)}, and ${end}`
    found.push(degraded('DEAD_LETTERS', message, `order-timers dead ${kind} shows the errors, order-timers retry ${kind} puts them back`))
  }
  if (lastError) {
    const { id, attempts, error } = lastError
    found.push(
      degraded(
        'RULE_FAILED',
        `${who} fails and is tried again, on order ${id} ${attempts} times so far: ${error}`,
        'remove the cause of the error',
      ),
    )
  }
  return found
}

/** Orders that wait for a person, or fail. */
function stuckTroubles(rule: RuleStatus, { now }: RuleContext): Trouble[] {
  const { kind, rows, unverified, isCapped } = rule
  const found = failureTroubles(rule, 'the rule')
  const waitMs = unverified?.since ? now - unverified.since.getTime() : 0
  if (unverified && waitMs > VERIFY_WAIT_MS) {
    const { count, refused, refusedId } = unverified
    const falses = refused > 0 ? `; ${cappedText(refused)} keep being answered false, such as ${refusedId}` : ''
    const message = `${ordersText(count, true)} ${count === 1 ? 'waits' : 'wait'} for an answer of "verify", the first for ${ageText(waitMs)}${falses}`
    const remedy = `order-timers list ${kind} --state unverified shows them; order-timers settle ${kind} ID --unverified --reason "…" settles one`
    found.push(degraded('VERIFY_WAITING', message, remedy))
  }
  if (rows && rows.stale > 0) {
    const message = `${ordersText(rows.stale, isCapped)} ${rows.stale === 1 ? 'is' : 'are'} overdue by more than "staleAfter", and held back`
    found.push(degraded('STALE', message, `order-timers sweep --stale --kind ${kind} shows them, and settles them with --yes`))
  }
  return found
}

/** @param isCapped whether the count ends at the cap */
function counted(count: number, isCapped = false): string {
  return isCapped ? cappedText(count) : count.toLocaleString('en-US')
}

function ordersText(count: number, isCapped = false): string {
  return `${counted(count, isCapped)} ${count === 1 ? 'order' : 'orders'}`
}

interface Holder {
  pid: number | null
  prepared: string | null
  application: string | null
  user: string | null
  openForS: number | null
  statement: string | null
}

function holder({ pid, prepared, application, user, openForS, statement }: Holder): string {
  const who = [
    pid === null ? `the prepared transaction "${prepared}"` : `pid ${pid}`,
    application ? `application "${application}"` : '',
    user ? `user ${user}` : '',
  ]
  const time = openForS === null ? '' : `, in a transaction open for ${ageText(openForS * 1_000)}`
  return `${who.filter(Boolean).join(', ')}${time}${statement === null ? '' : ` (${statement})`}`
}

function ending({ pid, prepared }: Pick<Holder, 'pid' | 'prepared'>): string {
  if (pid !== null) return `end that transaction (SELECT pg_terminate_backend(${pid}))`
  const name = prepared === null ? 'it' : `'${prepared.replaceAll("'", "''")}'`
  return `COMMIT PREPARED or ROLLBACK PREPARED ${name}`
}
