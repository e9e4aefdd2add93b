// A dead letter is left alone until a person puts it back, or the order is scheduled again.

import type { Wish } from '../../history.js'
import { ofEachOrder } from '../invariant.js'
import { type Case, SLACK_MS } from '../orders.js'

const REVIVES = new Set<string>(['retry', 'schedule'])

/** Puts a dead letter of the rule back, or may have. */
export function revives(rule: string, { kind, call, answer }: Wish): boolean {
  return kind === rule && REVIVES.has(call) && answer !== 'refused'
}

export const dead = ofEachOrder(
  'dead',
  'An order that was reported as a dead letter is not settled until it is put back or scheduled again, unless Redis, which keeps dead letters, lost data.',
  function* ({ id, settlements, wishes }, found) {
    if (settlements.length === 0) return
    for (const { rule, change } of settlements) {
      for (const { at } of deadOf(found, rule.kind, id)) {
        if (change.trueAt <= at + SLACK_MS || found.run.losses.some(({ endedAt }) => endedAt >= at)) continue
        const isRevived = wishes.some(
          (wish) => revives(rule.kind, wish) && wish.completedAt >= at && wish.invokedAt <= change.trueAt + SLACK_MS,
        )
        if (!isRevived)
          yield { message: `${rule.kind} settled it although it was a dead letter`, evidence: { change, at }, feature: 'dead' }
      }
    }
  },
)

const known = new WeakMap<Case, Map<string, { at: number }[]>>()

function deadOf(found: Case, kind: string, id: string): { at: number }[] {
  let byName = known.get(found)
  if (!byName) {
    byName = new Map()
    for (const event of found.run.told) {
      if (event.event !== 'dead') continue
      const name = `${event.kind} ${event.details?.id}`
      byName.set(name, [...(byName.get(name) ?? []), event])
    }
    known.set(found, byName)
  }
  return byName.get(`${kind} ${id}`) ?? []
}
