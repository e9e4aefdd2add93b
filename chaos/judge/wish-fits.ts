// Whether a change may be what a wish asked for: by its process, in its time, and exactly what it asked. The answer that the shop got must be
// what the row then had.

import type { Change, Row, RuleFacts, Wish } from '../history.js'
import { mayHaveShown } from './clock.js'
import { SLACK_MS } from './orders.js'
import {
  aftersOf,
  applies,
  DELETED_AT,
  deadlineOf,
  extendedOf,
  isHeld,
  isSame,
  keptOf,
  type MaybeRow,
  ownColumns,
  wholeMs,
} from './rule-facts.js'
import type { Run } from './run.js'

/** From the moment at which a statement begins until it reads the clock. Servers stand still for longer only where they are frozen. */
const STATEMENT_MS = 5_000

/** Whether Postgres's clock may have shown this reading from the invocation to the change. */
type IsShown = (reading: number) => boolean

const OWN_WRITES = new Set(['create', 'write', 'rawSql', 'remove'])

/** A call that only reads. */
export function isRead({ call }: Wish): boolean {
  return call === 'remaining' || call === 'list'
}

/** A write of the shop's own, not a call of the package. */
export function isOwnWrite({ call }: Wish): boolean {
  return OWN_WRITES.has(call)
}

export function fits(rule: RuleFacts | undefined, wish: Wish, change: Change, run: Pick<Run, 'clockMoves'>): boolean {
  if (wish.answer === 'refused') return false
  // A row that is gone names no wish.
  if (wish.call === 'remove') return change.op === 'delete' && change.by === wish.process && isInTime(wish, change)
  if (isOwnWrite(wish)) return change.wish === wish.n && change.by === wish.process
  if (!rule || change.by !== wish.process || !isInTime(wish, change) || change.op !== 'update') return false
  return isWanted(rule, wish, change, run) && isAsAnswered(rule, wish, change.to)
}

function isInTime({ answer, invokedAt, completedAt }: Wish, { trueAt }: Change): boolean {
  return trueAt >= invokedAt - SLACK_MS && (answer === 'unknown' || trueAt <= completedAt + SLACK_MS)
}

/** Whether the answer is what the row has. */
export function isAsAnswered(rule: RuleFacts, { got }: Wish, to: MaybeRow): boolean {
  if (got?.deadline === undefined) return true
  const deadline = deadlineOf(rule, to)
  return got.deadline === null ? deadline === undefined : deadline !== undefined && got.deadline === wholeMs(deadline)
}

/** Whether the call would have made this of the row. */
function isWanted(rule: RuleFacts, wish: Wish, change: Change, run: Pick<Run, 'clockMoves'>): boolean {
  const { from, to, at, trueAt } = change
  const isShown: IsShown = (reading) => mayHaveShown(run, reading, wish.invokedAt, trueAt)
  if (!from || !to || !applies(rule, from) || !isTimerAlone(rule, from, to)) return false
  const [before, after] = [deadlineOf(rule, from), deadlineOf(rule, to)]
  switch (wish.call) {
    case 'schedule':
      if (after === undefined) return isPausedAtOnce(rule, wish, to, isShown)
      return isScheduled(rule, wish, after, isShown) && keptOf(rule, to) === undefined && extendedOf(rule, to) === 0
    case 'extend':
      return before !== undefined && after !== undefined && isSame(after - before, Number(wish.asked.by)) && isCounted(rule, wish, from, to)
    case 'cancel':
      return after === undefined && keptOf(rule, to) === undefined
    case 'pause': {
      const kept = keptOf(rule, to)
      if (before === undefined || after !== undefined || kept === undefined) return false
      return kept === 0 ? before <= at : isShown(before - kept)
    }
    case 'resume': {
      const kept = keptOf(rule, from)
      return kept !== undefined && keptOf(rule, to) === undefined && after !== undefined && isShown(after - kept)
    }
    default:
      return false
  }
}

function isScheduled(rule: RuleFacts, { asked }: Wish, deadline: number, isShown: IsShown): boolean {
  if (typeof asked.at === 'number') return isSame(deadline, asked.at)
  const afters = typeof asked.after === 'number' ? [asked.after] : aftersOf(rule)
  return afters.some((afterMs) => isShown(deadline - afterMs))
}

/** Under the trigger, a deadline that is given while the declared pause holds is turned into the time that is left, in the same statement. */
export function isPausedAtOnce(rule: RuleFacts, { asked }: Wish, to: Row, isShown: IsShown): boolean {
  const kept = keptOf(rule, to)
  if (rule.starts !== 'trigger' || kept === undefined || !isHeld(rule, to)) return false
  if (typeof asked.at === 'number') return isShown(asked.at - kept)
  const moreMs = kept - Number(asked.after ?? rule.afterMs)
  return moreMs >= 0 && moreMs <= STATEMENT_MS
}

function isCounted(rule: RuleFacts, { asked }: Wish, from: Row, to: Row): boolean {
  const { extensions } = rule
  if (!extensions) return true
  const more = extendedOf(rule, to) - extendedOf(rule, from)
  return more === ('max' in extensions ? 1 : Number(asked.by))
}

/** A call writes the rule's own columns and no others. */
function isTimerAlone(rule: RuleFacts, from: Row, to: Row): boolean {
  const own = ownColumns(rule)
  return changedColumns(from, to).every((column) => own.includes(column))
}

export function changedColumns(from: MaybeRow, to: MaybeRow): string[] {
  const columns = new Set([...Object.keys(from ?? {}), ...Object.keys(to ?? {})])
  return [...columns].filter((column) => from?.[column] !== to?.[column])
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
