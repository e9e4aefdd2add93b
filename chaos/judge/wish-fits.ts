// Whether a change may be what a wish asked for: by its process, in its time, and exactly what it asked. The answer that the shop got must be
// what the row then had.

import type { Change, Row, RuleFacts, Wish } from '../history.js'
import { SLACK_MS } from './orders.js'
import {
  applies,
  countsFrom,
  DELETED_AT,
  deadlineColumn,
  deadlineOf,
  extendedOf,
  isHeld,
  isSame,
  keptOf,
  type MaybeRow,
  STATUS,
  wholeMs,
} from './rule-facts.js'

/** From the moment at which a statement reads the clock until the trigger writes the ledger. Servers stand still for longer only where they are frozen. */
const STATEMENT_MS = 5_000

const OWN_WRITES = new Set(['create', 'write', 'rawSql', 'remove'])

/** A call that only reads. */
export function isRead({ call }: Wish): boolean {
  return call === 'remaining' || call === 'list'
}

/** A write of the shop's own, not a call of the package. */
export function isOwnWrite({ call }: Wish): boolean {
  return OWN_WRITES.has(call)
}

export function fits(rule: RuleFacts | undefined, wish: Wish, change: Change): boolean {
  if (wish.answer === 'refused') return false
  // A row that is gone names no wish.
  if (wish.call === 'remove') return change.op === 'delete' && change.by === wish.process && isInTime(wish, change)
  if (isOwnWrite(wish)) return change.wish === wish.n
  if (!rule || change.by !== wish.process || !isInTime(wish, change) || change.op !== 'update') return false
  return isWanted(rule, wish, change) && isAsAnswered(rule, wish, change.to)
}

function isInTime({ answer, invokedAt, completedAt }: Wish, { trueAt }: Change): boolean {
  return trueAt >= invokedAt - SLACK_MS && (answer === 'unknown' || trueAt <= completedAt + SLACK_MS)
}

function isAsAnswered(rule: RuleFacts, { got }: Wish, to: MaybeRow): boolean {
  if (got?.deadline === undefined) return true
  const deadline = deadlineOf(rule, to)
  return got.deadline === null ? deadline === undefined : deadline !== undefined && got.deadline === wholeMs(deadline)
}

/** Whether the call would have made this of the row. */
function isWanted(rule: RuleFacts, wish: Wish, change: Change): boolean {
  const { from, to, at } = change
  if (!from || !to || !applies(rule, from) || !isTimerAlone(rule, from, to)) return false
  const [before, after] = [deadlineOf(rule, from), deadlineOf(rule, to)]
  switch (wish.call) {
    case 'schedule':
      if (after === undefined) return isPausedAtOnce(rule, wish, to, at)
      return isScheduled(rule, wish, after, at) && keptOf(rule, to) === undefined && extendedOf(rule, to) === 0
    case 'extend':
      return before !== undefined && after !== undefined && isSame(after - before, Number(wish.asked.by)) && isCounted(rule, wish, from, to)
    case 'cancel':
      return after === undefined && keptOf(rule, to) === undefined
    case 'pause': {
      const kept = keptOf(rule, to)
      if (before === undefined || after !== undefined || kept === undefined) return false
      return isAbout(kept, Math.max(0, before - at), STATEMENT_MS)
    }
    case 'resume': {
      const kept = keptOf(rule, from)
      return kept !== undefined && keptOf(rule, to) === undefined && after !== undefined && isAbout(at, after - kept, STATEMENT_MS)
    }
    default:
      return false
  }
}

function isScheduled(rule: RuleFacts, { asked }: Wish, deadline: number, at: number): boolean {
  if (typeof asked.at === 'number') return isSame(deadline, asked.at)
  if (typeof asked.after === 'number') return isAbout(at, deadline - asked.after, STATEMENT_MS)
  return countsFrom(rule, deadline, at, STATEMENT_MS)
}

/** Under the trigger, a deadline that is given while the declared pause holds is turned into the time that is left, in the same statement. */
function isPausedAtOnce(rule: RuleFacts, { asked }: Wish, to: Row, at: number): boolean {
  const kept = keptOf(rule, to)
  if (rule.starts !== 'trigger' || kept === undefined || !isHeld(rule, to)) return false
  return isAbout(kept, typeof asked.at === 'number' ? asked.at - at : Number(asked.after ?? rule.afterMs), STATEMENT_MS)
}

function isCounted(rule: RuleFacts, { asked }: Wish, from: Row, to: Row): boolean {
  const { extensions } = rule
  if (!extensions) return true
  const more = extendedOf(rule, to) - extendedOf(rule, from)
  return more === ('max' in extensions ? 1 : Number(asked.by))
}

/** A value that was computed a moment before: at most so much smaller, and no greater, but for rounding. */
function isAbout(later: number, earlier: number, withinMs: number): boolean {
  return later - earlier >= -2 && later - earlier <= withinMs
}

/** A call writes the rule's own columns and no others. */
function isTimerAlone(rule: RuleFacts, from: Row, to: Row): boolean {
  const own = [deadlineColumn(rule), rule.pause?.keep, rule.extensions?.column]
  return changedColumns(from, to).every((column) => own.includes(column))
}

export function changedColumns(from: MaybeRow, to: MaybeRow): string[] {
  const columns = new Set([...Object.keys(from ?? {}), ...Object.keys(to ?? {})])
  return [...columns].filter((column) => from?.[column] !== to?.[column])
}

/** Whether an acknowledged wish would have changed nothing of the row as it was. */
export function isIdle(rule: RuleFacts | undefined, wish: Wish, row: Row | null): boolean {
  // One UPDATE of many orders is acknowledged as a whole: one that was elsewhere was not written.
  if (wish.call === 'retry' || isRead(wish)) return true // dead letters are in Redis
  if (isOwnWrite(wish)) return wish.asked.from !== undefined && String(row?.[STATUS]) !== String(wish.asked.from)
  if (!rule) return false
  if (rule.deadline === 'redis' || 'since' in rule.deadline) return true // nothing is written to the row
  if (!row || !applies(rule, row)) return false
  const deadline = deadlineOf(rule, row)
  if (!isAsAnswered(rule, wish, row)) return false
  if (wish.call === 'cancel') return deadline === undefined && keptOf(rule, row) === undefined
  if (wish.call === 'pause') return keptOf(rule, row) !== undefined || rule.pause?.while !== undefined
  if (wish.call === 'resume') return deadline !== undefined
  if (wish.call !== 'schedule' || typeof wish.asked.at !== 'number') return false
  return isSame(deadline, wish.asked.at) && keptOf(rule, row) === undefined && extendedOf(rule, row) === 0
}

/** The columns that a write names, with their values. */
export function askedColumns({ asked }: Wish): Record<string, unknown> {
  return (asked.set as Record<string, unknown> | undefined) ?? asked
}

/** An instant that a write names: a date, which a journal has as text, or milliseconds. */
export function instantOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  return typeof value === 'string' || value instanceof Date ? new Date(value).getTime() : undefined
}

/** A write that takes the order out of where the rule applies: paid, cancelled by hand, removed. */
export function takesOut(rule: RuleFacts, wish: Wish): boolean {
  if (wish.call === 'remove') return true
  const { to } = wish.asked
  const columns = askedColumns(wish)
  if (rule.from && to !== undefined) return !rule.from.includes(String(to))
  if (columns[DELETED_AT] != null) return true
  return Object.entries(rule.where ?? {}).some(
    ([column, value]) => columns[column] !== undefined && String(columns[column]) !== String(value),
  )
}
