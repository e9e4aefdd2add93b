import assert from 'node:assert/strict'
import { isFor, kindsOf, LANES, type Lane, NEEDS_OTHER } from '../../chaos/faults/all.js'
import { makePlan, PlanError, parsePlan, requiredSeconds } from '../../chaos/plan.js'
import { Random } from '../../chaos/random.js'
import type { Topology } from '../../chaos/servers/topology.js'

const lanes = Object.keys(LANES) as Lane[]
const kindsFor = (topology: Topology) => lanes.flatMap(kindsOf).filter((kind) => isFor(kind, topology) && !NEEDS_OTHER.has(kind))
const made = (seed: number, seconds = 60) => makePlan(new Random(seed), { seed, seconds, workers: 3, ordersPerSecond: 450 })

describe('The plan of a chaos run', () => {
  it('comes back by its seed', () => {
    assert.deepEqual(made(1), made(1))
    assert.notDeepEqual(made(1).faults, made(2).faults)
  })

  it('has every kind of fault in two minutes, and ends each before the time is up', () => {
    const { faults } = made(3, 120)
    const kinds = kindsFor({ redis: 'server', postgres: 'server' })
    assert.ok(kinds.length >= 30)
    assert.deepEqual([...new Set(faults.map(({ kind }) => kind))].sort(), [...kinds].sort())
    assert.ok(faults.every(({ atMs, forMs }) => atMs + forMs <= 120_000))
  })

  it('has failovers where there are replicas, and nothing that there cannot be', () => {
    const topology = { redis: 'cluster', postgres: 'standby' } as const
    const plan = makePlan(new Random(7), { seed: 7, seconds: 120, workers: 3, ordersPerSecond: 450, ...topology })
    const kinds = new Set(plan.faults.map(({ kind }) => kind))
    assert.deepEqual([...kinds].sort(), kindsFor(topology).sort())
    for (const kind of ['primary-killed', 'slots-moved', 'postgres-failed-over'] as const) assert.ok(kinds.has(kind), kind)
    assert.equal(kinds.has('redis-emptied'), false)
    assert.deepEqual(parsePlan(JSON.stringify(plan), 'plan.json'), plan)
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
    [
      'a fault that there cannot be on its servers',
      '{"seed":1,"seconds":5,"workers":1,"ordersPerSecond":9,"redis":"sentinel","faults":[{"kind":"slots-moved","atMs":1,"forMs":1,"host":1,"seed":1}]}',
      /has a fault slots-moved, which there cannot be with "redis": "sentinel" and "postgres": "server"/,
    ],
    [
      'servers that there are not',
      '{"seed":1,"seconds":5,"workers":1,"ordersPerSecond":9,"redis":"valkey","faults":[]}',
      /must have as "redis" one of server, sentinel, cluster/,
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
