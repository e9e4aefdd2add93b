// Random runs: where nothing went wrong the judge finds nothing, and one change that no package may make is always found.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Change, Row } from '../../../chaos/history.js'
import { judge } from '../../../chaos/judge/judge.js'
import { caseOf } from '../../../chaos/judge/orders.js'
import type { Run } from '../../../chaos/judge/run.js'
import { changedColumns } from '../../../chaos/judge/wish-fits.js'
import { play, steps } from './random-story.js'

/** Orders that are overdue at the end are no concern of these tests. */
const AT_ONCE = { endedAt: 0 }
const RUNS = { numRuns: 60 }

/** Spoils a run in one place; undefined where it has no such place. */
type Spoil = (run: Run, pick: <T>(from: readonly T[]) => T | undefined) => Run | undefined

const SPOILS: Record<string, Spoil> = {
  'a settlement is moved to before its deadline': (run, pick) => {
    const settled = pick(settlements(run).filter(({ deadline }) => deadline !== undefined))
    return settled && replaced(run, settled.change, { at: Number(settled.deadline) - 5, trueAt: Number(settled.deadline) - 5 })
  },
  'a change is left out of the ledger': (run, pick) => {
    const change = pick(run.changes.filter(({ from, to, op }) => op === 'update' && changedColumns(from, to).length > 0))
    return change && { ...run, changes: run.changes.filter((each) => each !== change) }
  },
  'a settlement is done twice': (run, pick) => {
    const settled = pick(settlements(run))
    return settled && { ...run, changes: [...run.changes, { ...settled.change, n: settled.change.n + 0.5, txid: '1' }] }
  },
  'another process makes a change': (run, pick) => {
    const change = pick(
      run.changes.filter(({ by, wish, from, to }) => by.startsWith('shop') && wish === undefined && changedColumns(from, to).length > 0),
    )
    return change && replaced(run, change, { by: 'shop 9' })
  },
  'a wish is forgotten': (run, pick) => {
    const change = pick(run.changes.filter(({ wish }) => wish !== undefined))
    return change && { ...run, wishes: run.wishes.filter(({ n }) => n !== change.wish) }
  },
  'an unknown wish that was not carried out is said to be acknowledged': (run, pick) => {
    const written = new Set(run.changes.map(({ wish }) => wish))
    const wish = pick(run.wishes.filter((each) => each.answer === 'unknown' && each.call === 'write' && !written.has(each.n)))
    return wish && { ...run, wishes: run.wishes.map((each) => (each === wish ? { ...each, answer: 'ok' as const } : each)) }
  },
  'a deadline is off by a minute': (run, pick) => {
    const change = pick(run.changes.filter(({ to, wish }) => to?.confirmDueAt !== undefined && wish === undefined))
    const to = change && { ...(change.to as Row), confirmDueAt: Number(change.to?.confirmDueAt) + 60_000 }
    return to && replaced(run, change as Change, { to })
  },
  'a read answers what was so before': (run, pick) => {
    const wish = pick(run.wishes.filter(({ got, table }) => typeof got?.remaining === 'number' && got.remaining > 0 && table !== null))
    const got = { remaining: Number(wish?.got?.remaining) + 60_000 }
    return wish && { ...run, wishes: run.wishes.map((each) => (each === wish ? { ...each, got } : each)) }
  },
  'an effect is lost': (run, pick) => {
    const effect = pick(run.effects)
    return effect && { ...run, effects: run.effects.filter((each) => each !== effect) }
  },
  'an effect stays of a transaction that was rolled back': (run, pick) => {
    const effect = pick(run.effects)
    return effect && { ...run, effects: [...run.effects, { ...effect, txid: '1' }] }
  },
  'a row of the history is lost': (run, pick) => {
    const row = pick(run.recorded.filter(({ reminder }) => reminder === ''))
    return row && { ...run, recorded: run.recorded.filter((each) => each !== row) }
  },
  'a delivery is lost': (run, pick) => {
    const delivery = pick(run.deliveries.filter(({ what }) => what === 'afterCommit'))
    return delivery && { ...run, deliveries: run.deliveries.filter((each) => each !== delivery) }
  },
  'a delivery has another key': (run, pick) => {
    const delivery = pick(run.deliveries.filter(({ what }) => what === 'afterCommit'))
    return delivery && { ...run, deliveries: [...run.deliveries, { ...delivery, key: `${delivery.key}0` }] }
  },
  'a reminder is given twice': (run, pick) => {
    const delivery = pick(run.deliveries.filter(({ what }) => what === 'reminder'))
    return delivery && { ...run, deliveries: [...run.deliveries, delivery] }
  },
  'a settled row is as it was before, at the end': (run, pick) => {
    const settled = pick(settlements(run).filter(({ change }) => isLast(run, change)))
    const { table, id, from } = settled?.change ?? {}
    const isOf = (each: { table: string; id: string }) => each.table === table && each.id === id
    return settled && { ...run, rows: run.rows.map((each) => (isOf(each) ? { ...each, row: from as Row } : each)) }
  },
  'the next timer is not started': (run, pick) => {
    const settled = pick(settlements(run).filter(({ rule }) => rule.next !== undefined))
    if (!settled) return undefined
    const { sendDueAt: _, ...to } = settled.change.to as Row
    return replaced(run, settled.change, { to })
  },
}

describe('the judge, over random runs', () => {
  it('finds nothing where nothing went wrong', () => {
    fc.assert(
      fc.property(steps, (all) => {
        assert.deepEqual(messages({ ...play(all).end(), ...AT_ONCE }), [])
      }),
      { numRuns: 200 },
    )
  })

  for (const [name, spoil] of Object.entries(SPOILS)) {
    it(`finds it where ${name}`, () => {
      let spoiled = 0
      fc.assert(
        fc.property(steps, fc.nat(), (all, choice) => {
          const run = spoil({ ...play(all).end(), ...AT_ONCE }, (from) => from[choice % from.length])
          fc.pre(run !== undefined)
          spoiled += 1
          assert.notDeepEqual(messages(run as Run), [])
        }),
        RUNS,
      )
      assert.ok(spoiled > 20, `only ${spoiled} runs could be spoiled`)
    })
  }
})

function messages(run: Run): string[] {
  return judge(run).anomalies.map(({ invariant, order, message }) => `${invariant}: ${order}: ${message}`)
}

function isLast({ changes }: Run, { table, id, n }: Change): boolean {
  return !changes.some((each) => each.table === table && each.id === id && each.n > n)
}

function settlements(run: Run) {
  return caseOf(run).orders.flatMap((order) => order.settlements)
}

function replaced(run: Run, change: Change, by: Partial<Change>): Run {
  return { ...run, changes: run.changes.map((each) => (each === change ? { ...each, ...by } : each)) }
}
