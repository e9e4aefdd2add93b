// `timers.hold` and the release of a hold: their options, their errors, and how a release is carried out. The table is in rows/holds.ts.

import { hostname } from 'node:os'
import { inUnits, parseDuration, parseInstant } from '../duration.js'
import { errorText } from '../error-text.js'
import { OrderTimersError, refuseUnknownOptions, show } from '../errors.js'
import type { HeldKind, HoldOptions, ReleaseOptions } from '../hold.js'
import { parseFlag } from '../option-types.js'
import { Presence } from '../redis/presence.js'
import { isAliveByBeat } from '../redis/process-records.js'
import { explainShift, noteLastOrder, shiftDeadlines } from '../rows/hold-shift.js'
import type { Beside, Hold, HoldEnd, PlacedHold } from '../rows/holds.js'
import type { RowRule } from '../rows/row-rule.js'
import { isAliveByRow } from './findings.js'
import { ProcessRows } from './process-rows.js'
import type { Runtime } from './runtime.js'

/** How long `timers.hold` waits for running settlements. */
const SETTLING_MS = 2_000

const PRESENCE_MS = 1_000
const LONGEST_REASON = 500
/** Of Postgres's integer, in which the brake counts. */
const MOST_EXPECTED = 2_147_483_647

/** Common details for a call, a command and the page. */
export interface HoldDetails {
  /** How long to wait for running settlements. */
  waitMs?: number
  /** Runs in the transaction that commits the hold. */
  beside?: Beside<unknown> | undefined
}

/**
 * @returns once no settlement of the kind commits any more
 * @throws OrderTimersError UNKNOWN_KIND, NOT_HOLDABLE, INVALID_OPTION, INVALID_DURATION, INVALID_DEADLINE (400), ALREADY_HELD, WORKERS_TOO_OLD (409),
 * HOLDS_MISSING (500), POSTGRES_UNAVAILABLE, HOLD_IN_FLIGHT (503): then the hold stands
 */
export async function holdKind(runtime: Runtime, kind: string, options: HoldOptions, details: HoldDetails = {}): Promise<HeldKind> {
  const row = holdable(runtime, kind)
  const placed = parseHold(kind, row, options)
  await refuseOldWorkers(runtime, kind)
  const { waitMs = SETTLING_MS, beside } = details
  const hold = await row.holds.place(placed, beside)
  const settling = await row.holds.awaitSettling(waitMs).catch((cause) => {
    throw inFlight(kind, `Postgres did not say whether anything that began before still settles orders (${errorText(cause)})`, row, cause)
  })
  if (settling.length === 0) return heldKind(kind, hold)
  throw inFlight(
    kind,
    `${settling.length} transactions that began before still settle orders (Postgres's pids ${settling.join(', ')})`,
    row,
  )
}

export interface ReleasedHold {
  hold: Hold
  /** How many deadlines it moved. */
  moved: number
}

/**
 * Releases a person's hold, or joins the release that has begun.
 * @param signal once it is aborted, the sweeps move the rest, and the kind stays held until then
 * @returns once the kind is released; with a grace period, once its end is known
 * @throws OrderTimersError UNKNOWN_KIND, NOT_HOLDABLE, INVALID_OPTION, INVALID_DURATION, NOT_HELD, HOLDS_MISSING, ROW_LOCKED, POSTGRES_UNAVAILABLE;
 * INVALID_MODEL where deadlines are to be moved and this user may not, and then nothing was released
 */
export async function releaseHold(
  runtime: Runtime,
  kind: string,
  options: ReleaseOptions = {},
  beside?: Beside<unknown>,
  signal?: AbortSignal,
): Promise<ReleasedHold> {
  const row = holdable(runtime, kind)
  const { end, graceMs } = parseEnd(kind, row, options) ?? { end: 'none' as const, graceMs: 0 }
  const { expect } = options
  if (expect !== undefined && !(Number.isInteger(expect) && expect >= 0 && expect <= MOST_EXPECTED))
    throw invalid(`${kind}: "expect" must be a whole number of orders up to ${MOST_EXPECTED}, got ${show(expect)}`)
  if (expect !== undefined && !row.brake) throw invalid(`${kind}: "expect" is for a rule with a brake, which this one does not have`)
  if (end === 'shift' && !signal?.aborted) await explainShiftOf(row)
  const hold = await row.holds.beginRelease(end, { graceMs }, async (transaction, begun) => {
    if (expect !== undefined) await row.brake?.expect(expect, transaction)
    if (begun.end === 'shift') await noteLastOrder(row, begun, transaction)
    await beside?.(transaction, begun)
  })
  return carryOut(row, hold, signal)
}

/** Does nothing if there is no person's hold without a release: beginning the release then reports that. @throws OrderTimersError INVALID_MODEL */
async function explainShiftOf(row: RowRule): Promise<void> {
  const [first] = await row.holds.standing()
  if (first?.owner === '' && first.state === 'held') await explainShift(row)
}

/** The work of a release that has begun. After a kill it continues. */
export async function carryOut(row: RowRule, hold: Hold, signal?: AbortSignal): Promise<ReleasedHold> {
  if (hold.state !== 'releasing' || hold.end !== 'shift') return { hold, moved: 0 }
  const moved = await shiftDeadlines(row, hold, { signal })
  return { hold, moved }
}

/** @throws OrderTimersError UNKNOWN_KIND, NOT_HOLDABLE; what binding the rule throws */
export function holdable(runtime: Runtime, kind: string): RowRule {
  const reminded = runtime.kinds.find((one) => typeof kind === 'string' && kind.startsWith(`${one}.reminder-`))
  if (reminded !== undefined && !runtime.kinds.includes(kind))
    throw notHoldable(`${kind} is a reminder, which is held with its rule; hold "${reminded}"`)
  const { row } = runtime.rule(kind)
  if (row) return row
  throw notHoldable(`"${kind}" is a plain function, which has no row to look at; stop its workers, or declare it as an effect(Model, …)`)
}

export function heldKind(kind: string, hold: Hold): HeldKind {
  const { reason, by, since, until, opensAt, state } = hold
  return {
    kind,
    since: new Date(since),
    reason,
    by,
    state: state === 'releasing' ? state : 'held',
    until: dateOf(until),
    opensAt: dateOf(opensAt),
  }
}

function dateOf(milliseconds: number | null): Date | null {
  return milliseconds === null ? null : new Date(milliseconds)
}

function parseHold(kind: string, row: RowRule, options: HoldOptions): PlacedHold {
  refuseUnknownOptions(`orderTimers: ${kind}`, options, ['reason', 'by', 'until', 'shift', 'grace'])
  const { reason, by = hostname(), until } = options
  for (const [name, text] of [['reason', reason] as const, ['by', by] as const]) {
    if (typeof text === 'string' && text.trim() !== '' && text.length <= LONGEST_REASON) continue
    throw invalid(`${kind}: "${name}" must be a text of ${LONGEST_REASON} characters at most, got ${show(text)}`)
  }
  const end = parseEnd(kind, row, options)
  if (until === undefined) {
    if (end) throw invalid(`${kind}: "shift" and "grace" say how a hold ends at its "until"; give "until", or give them to release()`)
    return { reason, by }
  }
  if (!end) throw invalid(`${kind}: "until" needs to be told what becomes of the deadlines: shift: true, grace: '30m' or shift: false`)
  return { reason, by, until: parseUntil(kind, until), ...end }
}

function parseUntil(kind: string, until: NonNullable<HoldOptions['until']>): NonNullable<PlacedHold['until']> {
  if (!(until instanceof Date)) return { inMs: parseDuration(`orderTimers: ${kind}: "until"`, until) }
  const atMs = parseInstant(`orderTimers: ${kind}: "until"`, until)
  if (atMs > Date.now()) return { atMs }
  throw new OrderTimersError('INVALID_DEADLINE', `orderTimers: ${kind}: "until" must be in the future, got ${until.toISOString()}`)
}

/** @returns undefined if neither is given */
function parseEnd(kind: string, row: RowRule, { shift, grace }: Pick<ReleaseOptions, 'shift' | 'grace'>): Ending | undefined {
  parseFlag(`orderTimers: ${kind}`, 'shift', shift)
  if (shift && grace !== undefined) throw invalid(`${kind}: give "shift" or "grace", not both`)
  if (grace !== undefined) return { end: 'grace', graceMs: parseDuration(`orderTimers: ${kind}: "grace"`, grace) }
  if (shift && row.deadline.in === 'since')
    throw notHoldable(
      `${kind}: its deadlines follow from ${show(row.deadline.attribute)}, so they cannot be moved; give grace: '30m' instead`,
    )
  if (shift && row.deadline.in === 'redis')
    throw notHoldable(`${kind}: its deadlines are only in Redis, so they cannot be moved; give grace: '30m' instead`)
  if (shift === undefined) return undefined
  return { end: shift ? 'shift' : 'none', graceMs: 0 }
}

interface Ending {
  end: HoldEnd
  graceMs: number
}

/** Workers of an earlier version would settle held orders. If the processes are unknown, nothing is refused. */
export async function refuseOldWorkers(runtime: Runtime, kind: string): Promise<void> {
  const { redis, keys } = runtime
  const byBeat = redis && (await new Presence(redis.connection, keys).read(PRESENCE_MS).catch(() => undefined))
  const alive = byBeat?.processes.filter(isAliveByBeat) ?? (await byRow(runtime))?.filter(isAliveByRow) ?? []
  const old = alive.filter(({ role, rules, holds }) => role === 'worker' && Object.hasOwn(rules, kind) && holds !== true)
  if (old.length === 0) return
  const names = old.map(({ id, version }) => `${id} (version ${version})`).join(', ')
  const remedy = 'bring them up to this version first, or stop them'
  throw new OrderTimersError(
    'WORKERS_TOO_OLD',
    `orderTimers: ${kind}: workers run that know no holds and would settle all the same: ${names}; ${remedy}`,
  )
}

function byRow(runtime: Runtime): ReturnType<ProcessRows['read']> {
  return new ProcessRows(runtime.keys.prefix, runtime.kinds, (one) => runtime.rule(one)).read()
}

/** @param cause why it could not be found out */
function inFlight(kind: string, what: string, { options }: RowRule, cause?: unknown): OrderTimersError {
  const remedy = `they end within the rule's timeout (${inUnits(options.timeoutMs)}); nothing else of it is settled`
  return new OrderTimersError(
    'HOLD_IN_FLIGHT',
    `orderTimers: ${kind}: is held, and ${what}; ${remedy}`,
    cause === undefined ? {} : { cause },
  )
}

function invalid(what: string): OrderTimersError {
  return new OrderTimersError('INVALID_OPTION', `orderTimers: ${what}`)
}

function notHoldable(what: string): OrderTimersError {
  return new OrderTimersError('NOT_HOLDABLE', `orderTimers: ${what}`)
}
