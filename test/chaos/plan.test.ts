import assert from 'node:assert/strict'
import { kindsOf, LANES, type Lane, NEEDS_OTHER } from '../../chaos/faults/all.js'
import { makePlan, PlanError, parsePlan, requiredSeconds } from '../../chaos/plan.js'
import { Random } from '../../chaos/random.js'

const lanes = Object.keys(LANES) as Lane[]
const made = (seed: number, seconds = 60) => makePlan(new Random(seed), { seed, seconds, workers: 3, ordersPerSecond: 450 })

describe('The plan of a chaos run', () => {
  it('comes back by its seed', () => {
    assert.deepEqual(made(1), made(1))
    assert.notDeepEqual(made(1).faults, made(2).faults)
  })

  it('has every kind of fault in two minutes, and ends each before the time is up', () => {
    const { faults } = made(3, 120)
    const kinds = lanes.flatMap(kindsOf).filter((kind) => !NEEDS_OTHER.has(kind))
    assert.ok(kinds.length >= 30)
    assert.deepEqual([...new Set(faults.map(({ kind }) => kind))].sort(), [...kinds].sort())
    assert.ok(faults.every(({ atMs, forMs }) => atMs + forMs <= 120_000))
  })

  it('lets faults of one lane follow each other', () => {
    const { faults } = made(4)
    for (const lane of lanes) {
      const kinds = new Set(kindsOf(lane))
      const own = faults.filter(({ kind }) => kinds.has(kind))
      for (const [i, { atMs, forMs }] of own.slice(0, -1).entries()) assert.ok(atMs + forMs < own[i + 1]!.atMs)
    }
  })

  it('is the same after it was saved', () => {
    assert.deepEqual(parsePlan(JSON.stringify(made(5)), 'plan.json'), made(5))
  })

  for (const [title, text, message] of [
    ['what is not JSON', 'seed: 1', /plan.json is not JSON/],
    [
      'what is no plan',
      '{}',
      /plan.json is no plan: it must have whole numbers "seed", "seconds", "workers" and "ordersPerSecond", and a list "faults"/,
    ],
    [
      'a fault that there is not',
      '{"seed":1,"seconds":5,"workers":1,"ordersPerSecond":9,"faults":[{"kind":"meteor"}]}',
      /has a fault of the kind "meteor", and there is none/,
    ],
    [
      'a fault without a time',
      '{"seed":1,"seconds":5,"workers":1,"ordersPerSecond":9,"faults":[{"kind":"redis-killed"}]}',
      /has a fault redis-killed without whole numbers "atMs"/,
    ],
  ] as const) {
    it(`refuses ${title}`, () => {
      assert.throws(
        () => parsePlan(text, 'plan.json'),
        (error) => error instanceof PlanError && message.test(error.message),
      )
    })
  }

  it('lasts until its last fault has ended', () => {
    const [first] = made(6).faults
    assert.equal(requiredSeconds([{ ...first!, atMs: 20_000, forMs: 1500 }]), 24)
    assert.equal(requiredSeconds([]), 5)
  })
})
