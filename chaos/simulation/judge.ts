// Holds what happened in a simulation against the promises. The truth is each committed change of an order, as the model of Postgres noted it.

import type { History, Wish } from './history.js'
import { type Change, PAY_WITHIN_MS, type World } from './world.js'

export interface Verdict {
  anomalies: string[]
  settled: number
  handled: number
  wishes: number
  unknown: number
  latenessMs: number[]
}

/** How late an order may be in quiet times: the alarm looks again within 0.8 s, though it misses a wake. */
const PUNCTUAL_MS = 1_000
/** How long after a fault, and a sweep, timers may be late: a lease ends. */
const AFTERMATH_MS = 5_000
/** A settlement reads its clock when its transaction begins; the deadline has parts of a millisecond. */
const SLACK_MS = 1

export function judge(world: World, history: History): Verdict {
  const anomalies = [...world.broken]
  const settlements = world.changes.filter(({ by }) => by.startsWith('worker'))
  const latenessMs = judgeSettlements(world, history, settlements, anomalies)
  judgeWishes(world, history, anomalies)
  judgeRest(world, anomalies)
  judgeCalls(world, history, anomalies)
  const unknown = history.wishes.filter(({ answer }) => answer === 'unknown').length
  return { anomalies, settled: settlements.length, handled: world.handled.length, wishes: history.wishes.length, unknown, latenessMs }
}

function judgeSettlements(world: World, history: History, settlements: Change[], anomalies: string[]): number[] {
  const latenessMs: number[] = []
  for (const change of settlements) {
    const { id, by, before, after, transaction, committedAt, now } = change
    const say = (what: string) => anomalies.push(`order ${id} ${what}: ${JSON.stringify(change)}`)
    if (before?.status === after.status) {
      if (before.status === 4 && after.deadline === null) say('lost its deadline to a worker')
      continue // a deadline that was left behind is cleared
    }
    const deadline = before?.status === 1 ? before.createdAt + PAY_WITHIN_MS : before?.deadline
    if (!before || !(before.status === 4 ? after.status === 5 : before.status === 1 && after.status === 0))
      say(`was moved wrongly by ${by}`)
    if (deadline == null) say('was settled without a deadline')
    else {
      if (now < deadline) say('was settled early')
      const lateness = committedAt - deadline
      latenessMs.push(lateness)
      if (lateness > PUNCTUAL_MS && isQuiet(world, history, deadline, committedAt) && wasArmed(world, history, change, deadline))
        say(`was settled ${Math.round(lateness)} ms late in quiet times`)
    }
    const effects = world.effects.filter((effect) => effect.id === id && effect.transaction === transaction).length
    if (before?.status === 4 && effects !== 1) say(`was settled with ${effects} effects`)
  }
  if (world.effects.length !== settlements.filter(({ before, after }) => before?.status === 4 && after.status === 5).length)
    anomalies.push(`${world.effects.length} effects for other settlements`)
  return latenessMs
}

/** Whether nothing was wrong when the timer was due, nor a while before. */
function isQuiet(world: World, { faults }: History, deadline: number, until: number): boolean {
  const aftermathMs = AFTERMATH_MS + 1_000 * world.story.sweepEvery
  return faults.every(({ from, to }) => from > until || to + aftermathMs < deadline)
}

/**
 * Whether the deadline was armed when it was written, and nothing was wrong then. Of calls about one order at the same time, the one whose COMMIT is answered
 * last arms last, whatever the row has: the sweep finds that.
 */
function wasArmed(world: World, history: History, { id, before }: Change, deadline: number): boolean {
  if (before?.status !== 4) return false // a sweep arms it
  const wish = history.wishes.find((one) => one.id === id && one.deadline === deadline && one.answer === 'ok')
  if (!wish?.armed) return false
  const overlaps = (other: Wish) =>
    other !== wish && other.id === id && other.invokedAt < wish.completedAt && other.completedAt > wish.invokedAt
  if (history.wishes.some(overlaps)) return false
  const since = world.changes.filter((change) => change.id === id && change.committedAt > wish.invokedAt && change.by === 'shop')
  return (
    since.length <= 1 && isQuiet(world, history, wish.invokedAt, wish.completedAt) && isQuiet(world, history, wish.completedAt, deadline)
  )
}

/** Every wish that succeeded has its change, and every change of the shop's its wish. */
function judgeWishes(world: World, history: History, anomalies: string[]): void {
  const unexplained = new Set(world.changes.filter(({ by, before, after }) => by === 'shop' && (before || after.status === 1)))
  // Of wishes that ask for the same, the one that ended first has the first change, or none would be left for it.
  for (const wish of history.wishes.toSorted((a, b) => a.completedAt - b.completedAt)) {
    if (wish.answer !== 'ok' || wish.call === 'call' || wish.call === 'uncall') continue
    const found = [...unexplained].find((change) => explains(wish, change))
    if (found) unexplained.delete(found)
    else if (wish.call === 'ship' || wish.call === 'place' || wish.call === 'extend')
      anomalies.push(`acknowledged and not written: ${JSON.stringify(wish)}`)
    else if (wish.call === 'schedule' && !world.changes.some(({ id, after }) => id === wish.id && after.deadline === wish.deadline))
      anomalies.push(`acknowledged and not written: ${JSON.stringify(wish)}`)
  }
  for (const change of unexplained) {
    const by = history.wishes.findIndex(
      (wish) => wish.answer === 'unknown' && wish.invokedAt <= change.committedAt && (wish.id === change.id || wish.id === undefined),
    )
    if (by < 0) anomalies.push(`written, and no wish explains it: ${JSON.stringify(change)}`)
  }
}

function explains(wish: Wish, change: Change): boolean {
  if (wish.id !== change.id || change.committedAt < wish.invokedAt - SLACK_MS || change.committedAt > wish.completedAt + SLACK_MS)
    return false
  switch (wish.call) {
    case 'place':
      return !change.before
    case 'ship':
    case 'schedule':
    case 'extend':
    case 'write':
      return change.after.deadline === wish.deadline
    case 'move':
      return change.after.status === wish.status && change.before?.status !== wish.status
    case 'cancel':
      return change.after.deadline === null && change.before?.deadline !== null
    default:
      return true
  }
}

/** At the end nothing is overdue, and Redis has nothing left of what is settled. */
function judgeRest(world: World, anomalies: string[]): void {
  const now = world.postgres.clock() / 1000
  for (const { id, status, deadline: own, createdAt } of world.orders()) {
    const deadline = status === 4 ? own : status === 1 ? createdAt + PAY_WITHIN_MS : null
    if (deadline !== null && deadline < now) anomalies.push(`order ${id} is lost: it was due ${Math.round(now - deadline)} ms ago`)
  }
  for (const key of world.redis.data.keys()) {
    if (/:lease:|:leases$/.test(key)) anomalies.push(`Redis still has ${key}`)
    const [, kind] = /^order-timers:\{(\w+)\}:due$/.exec(key) ?? []
    if (kind)
      anomalies.push(
        `Redis still has timers of ${kind}: ${JSON.stringify(world.redis.data.execute(['ZRANGE', key, '0', '-1', 'WITHSCORES']))}`,
      )
  }
}

/** Timers that only Redis has: at least once, unless it lost its data; never early by Redis's clock. */
function judgeCalls(world: World, history: History, anomalies: string[]): void {
  if (history.losses.length > 0 || history.faults.some(({ what }) => what === 'set clock')) return
  const wishes = history.wishes.filter(({ call }) => call === 'call' || call === 'uncall')
  for (const id of new Set(wishes.map((wish) => wish.id))) {
    const own = wishes.filter((wish) => wish.id === id)
    const last = own.at(-1) as Wish
    const isAlone = own.every((wish) => wish === last || wish.completedAt < last.invokedAt)
    const calls = world.handled.filter((one) => Number(one.id) === id)
    if (last.call === 'call' && last.answer === 'ok' && isAlone && last.deadline) {
      if (!calls.some(({ at }) => at >= (last.deadline as number) - SLACK_MS))
        anomalies.push(`the call of ${id} is lost: ${JSON.stringify(last)}`)
    }
    const earliest = Math.min(...own.map(({ deadline, answer }) => (answer === 'ok' ? (deadline ?? 0) : 0)))
    if (calls.some(({ at }) => at < earliest - SLACK_MS)) anomalies.push(`the call of ${id} was early`)
  }
}
