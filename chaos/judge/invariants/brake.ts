// A rule with a brake settles no more than `max` within `per`, counted over all workers together, and nothing while it is stopped.

import type { RuleFacts, Wish } from '../../history.js'
import { anomaly, type Invariant } from '../invariant.js'
import type { Case, Settlement } from '../orders.js'

export const brake: Invariant = {
  name: 'brake',
  holds:
    'The settlements of a rule with a brake can be divided into windows of at least `per` with at most `max` in each, where a release begins a new one.',
  judge: (found) =>
    found.run.rules.flatMap((rule) => {
      const { brake: limit } = rule
      if (!limit) return []
      const settled = settledBy(found, rule)
      const releases = found.run.wishes.filter(({ call, kind, answer }) => call === 'release' && kind === rule.kind && answer !== 'refused')
      // A clock that is moved may end a window as well as a release does.
      const moves = found.run.clockMoves.map(({ at }) => ({ invokedAt: at, completedAt: at }))
      const resets = [...releases, ...moves].sort((a, b) => a.invokedAt - b.invokedAt)
      const excess = firstExcess(
        settled.map(({ change }) => change.trueAt),
        resets,
        limit,
      )
      if (excess === undefined) return []
      const message = `${rule.kind} settled more than ${limit.max} within ${limit.perMs} ms`
      const at = settled.slice(Math.max(0, excess - limit.max), excess + 1).map(({ change }) => [change.id, change.trueAt, change.by])
      return [anomaly('brake', 'brake', rule.kind, { message, evidence: { settled: at, releases } })]
    }),
}

function settledBy({ orders }: Case, rule: RuleFacts): Settlement[] {
  return orders
    .flatMap(({ settlements }) => settlements.filter((settlement) => settlement.rule === rule))
    .sort((a, b) => a.change.trueAt - b.change.trueAt)
}

/**
 * The package counts in windows one after the other: one begins with the first attempt after the last one's end, or with a release. Which attempts there were
 * is not known, so any division that fits acquits it. A settlement's transaction takes a moment from reading the clock to the ledger.
 * @returns the index of the first settlement that no division has room for
 */
export function firstExcess(
  instants: readonly number[],
  releases: readonly Pick<Wish, 'invokedAt' | 'completedAt'>[],
  { max, perMs }: { max: number; perMs: number },
): number | undefined {
  let windows: Window[] = [{ beganAt: Number.NEGATIVE_INFINITY, latest: Number.POSITIVE_INFINITY, count: 0, released: 0 }]
  for (const [index, at] of instants.entries()) {
    windows = distinct(windows.flatMap((window) => steps(window, at, releases, { max, perMs })))
    if (windows.length === 0) return index
  }
  return undefined
}

/** A window that may be the current one: the earliest instant at which it may have begun, and what it has counted. */
interface Window {
  beganAt: number
  /** The latest instant at which it may have begun: the first settlement in it. */
  latest: number
  count: number
  /** How many of the releases are used. */
  released: number
}

const MOMENT_MS = 1_000

function steps(
  { beganAt, latest, count, released }: Window,
  at: number,
  releases: readonly Pick<Wish, 'invokedAt' | 'completedAt'>[],
  { max, perMs }: { max: number; perMs: number },
): Window[] {
  const next: Window[] = []
  // In the same window, which then began no earlier than `per` ago.
  const earliest = Math.max(beganAt, at - perMs - MOMENT_MS)
  if (count < max && earliest <= latest) next.push({ beganAt: earliest, latest: Math.min(latest, at), count: count + 1, released })
  // In a new one, which began no earlier than the end of this.
  if (count > 0 && beganAt + perMs - MOMENT_MS <= at) {
    next.push({ beganAt: Math.max(beganAt + perMs - MOMENT_MS, at - perMs - MOMENT_MS), latest: at, count: 1, released })
  }
  for (let index = released; index < releases.length; index += 1) {
    const { invokedAt, completedAt } = releases[index]!
    if (invokedAt > at + MOMENT_MS) break
    const earliestRelease = Math.max(invokedAt, at - perMs - MOMENT_MS)
    if (earliestRelease <= completedAt + MOMENT_MS) {
      next.push({ beganAt: earliestRelease, latest: Math.min(at, completedAt), count: 1, released: index + 1 })
    }
  }
  return next
}

/** A window for which another one has room wherever it has, is left out. */
function distinct(windows: Window[]): Window[] {
  return windows.filter(
    (one, index) => !windows.some((other, place) => place !== index && hasRoomOf(other, one) && (place < index || !hasRoomOf(one, other))),
  )
}

function hasRoomOf(one: Window, other: Window): boolean {
  return one.count <= other.count && one.released <= other.released && one.beganAt <= other.beganAt && one.latest >= other.latest
}
