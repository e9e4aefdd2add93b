// The table of docs/health.md: each check at its limits.

import assert from 'node:assert/strict'
import { CHECKS, type CheckName, type Findings } from '../../lib/health/checks.js'

const deadLetters = (count: number, agoMs = 0) => ({ counts: new Map([['order_pay', count]]), agoMs })

const FINE: Findings = {
  postgres: { trouble: undefined, skewMs: 0, overdue: [], unread: [], notLookedAt: [] },
  redis: { answers: true, readAgoMs: new Map(), dead: deadLetters(0), overdue: [], lateness: undefined },
  faults: [],
  eventsProved: true,
  lateness: new Map(),
  sweep: { kind: 'order_pay', agoMs: 0 },
  sweepUnknown: false,
  intervalMs: 60_000,
  redisSkewMs: 0,
  postgresDownMs: 0,
  shrinks: () => false,
}

const state = (name: CheckName, found: Partial<Findings>) => CHECKS[name]({ ...FINE, ...found }).state

const overdueBy = (seconds: number): Partial<Findings> => ({
  postgres: { ...FINE.postgres!, overdue: [{ kind: 'order_pay', count: 1, ageMs: seconds * 1_000, agoMs: 0 }] },
})
const inRedis = (seconds: number) => ({
  redis: { ...FINE.redis!, overdue: [{ kind: 'order_other', count: 1, ageMs: seconds * 1_000 }] },
})
const lateBy = (p99Ms: number, count: number) => ({ lateness: new Map([['order_pay', { count, p50Ms: 1, p99Ms }]]) })
const readAgo = (seconds: number) => ({ sweep: { kind: 'order_pay', agoMs: seconds * 1_000 } })
const down = (postgresDownMs: number) => ({ postgres: { ...FINE.postgres!, trouble: 'ECONNREFUSED' }, postgresDownMs })
const faulty = (code: string) => ({ faults: [{ code, message: 'at 10.0.0.1', since: new Date() }] })

const ROWS: [title: string, name: CheckName, found: Partial<Findings>, expected: string][] = [
  ['five seconds overdue', 'overdue', overdueBy(5), 'ok'],
  ['more than five seconds overdue', 'overdue', overdueBy(5.1), 'degraded'],
  ['one and a half sweeps overdue', 'overdue', overdueBy(90), 'degraded'],
  ['more than that', 'overdue', overdueBy(90.1), 'failing'],
  ['overdue in a backlog that shrinks', 'overdue', { ...overdueBy(600), shrinks: () => true }, 'ok'],
  [
    'overdue in a backlog that shrinks, where no worker is alive',
    'overdue',
    { ...overdueBy(600), shrinks: () => true, ...faulty('NO_WORKER') },
    'failing',
  ],
  ['overdue with a sweep each ten minutes', 'overdue', { ...overdueBy(600), intervalMs: 600_000 }, 'degraded'],
  ['90 s overdue without a sweep', 'overdue', { ...overdueBy(90.1), intervalMs: undefined }, 'failing'],
  ['a rule that cannot be read', 'overdue', { postgres: { ...FINE.postgres!, unread: [{ kind: 'a', why: 'b' }] } }, 'degraded'],
  ['nothing known, since Postgres does not answer', 'overdue', down(0), 'ok'],
  ['a rule that nobody came to', 'overdue', { postgres: { ...FINE.postgres!, notLookedAt: ['a'] } }, 'degraded'],
  ['a timer that is only in Redis', 'overdue', inRedis(5.1), 'degraded'],
  ['the same, stuck', 'overdue', inRedis(90.1), 'failing'],
  ['overdue by 14 s with a sweep each second', 'overdue', { ...overdueBy(14), intervalMs: 1_000 }, 'degraded'],
  ['late, 20 orders', 'lateness', lateBy(1_001, 20), 'degraded'],
  ['late, 19 orders', 'lateness', lateBy(60_000, 19), 'ok'],
  ['a second late', 'lateness', lateBy(1_000, 1_000), 'ok'],
  ['very late', 'lateness', lateBy(3_600_000, 1_000), 'degraded'],
  ['read 90 s ago', 'sweep', readAgo(90), 'ok'],
  ['read more than one and a half intervals ago', 'sweep', readAgo(91), 'degraded'],
  ['read more than three intervals ago', 'sweep', readAgo(181), 'failing'],
  ['no sweep is scheduled', 'sweep', { ...readAgo(10_000), intervalMs: undefined }, 'ok'],
  ['one failed question', 'postgres', down(0), 'degraded'],
  ['half a minute without an answer', 'postgres', down(30_001), 'failing'],
  ['a settlement failed on the database', 'postgres', faulty('POSTGRES_UNAVAILABLE'), 'degraded'],
  ['Redis down', 'redis', { redis: { ...FINE.redis!, answers: false } }, 'degraded'],
  ['Redis refusing', 'redis', faulty('REDIS_REFUSES'), 'degraded'],
  ['events unproved', 'redis', { eventsProved: false }, 'degraded'],
  ['no Redis at all', 'redis', { redis: undefined, eventsProved: undefined }, 'ok'],
  ['Postgres a second ahead', 'clocks', { postgres: { ...FINE.postgres!, skewMs: 1_001 } }, 'degraded'],
  ['Redis 30 s behind', 'clocks', { redisSkewMs: -30_000 }, 'degraded'],
  ['a second apart', 'clocks', { redisSkewMs: -1_000 }, 'ok'],
  ['a dead letter', 'dead', { redis: { ...FINE.redis!, dead: deadLetters(1) } }, 'degraded'],
  ['no dead letter', 'dead', { redis: { ...FINE.redis!, dead: deadLetters(0) } }, 'ok'],
  ['rules that differ', 'faults', faulty('RULES_DIFFER'), 'degraded'],
  ['no worker', 'faults', faulty('NO_WORKER'), 'degraded'],
  ['a fault of Redis, which has a check of its own', 'faults', faulty('EVENTS_OFF'), 'ok'],
]

describe('a check of readiness', () => {
  for (const [title, name, found, expected] of ROWS)
    it(`${name} is ${expected}: ${title}`, () => assert.equal(state(name, found), expected))

  it('is ok where nothing is wrong, and names the worst rule and by how much', () => {
    for (const name of Object.keys(CHECKS) as CheckName[]) assert.equal(state(name, {}), 'ok', name)
    const overdue = [
      { kind: 'order_pay', count: 3, ageMs: 6_000, agoMs: 0 },
      { kind: 'order_confirm', count: 1, ageMs: 8_000, agoMs: 0 },
    ]
    assert.deepEqual(CHECKS.overdue({ ...FINE, postgres: { ...FINE.postgres!, overdue } }), {
      ...{ state: 'degraded', kind: 'order_confirm', value: 8, degradedAbove: 5, failingAbove: 90, codes: ['OVERDUE'] },
    })
  })

  it('does not show a shrinking backlog of one rule for another rule that is stuck', () => {
    const overdue = [
      { kind: 'order_pay', count: 900, ageMs: 600_000, agoMs: 0 },
      { kind: 'order_confirm', count: 1, ageMs: 8_000, agoMs: 0 },
    ]
    const found = { ...FINE, postgres: { ...FINE.postgres!, overdue }, shrinks: ({ kind }: { kind: string }) => kind === 'order_pay' }
    assert.equal(CHECKS.overdue(found).kind, 'order_confirm')
  })

  it('says the code that status has for it', () => {
    const codes = (name: CheckName, found: Partial<Findings>) => CHECKS[name]({ ...FINE, ...found }).codes
    assert.deepEqual(codes('overdue', overdueBy(6)), ['OVERDUE'])
    assert.deepEqual(codes('lateness', lateBy(1_001, 20)), ['LATE'])
    assert.deepEqual(codes('sweep', readAgo(91)), ['SWEEP_LATE'])
    assert.deepEqual(codes('clocks', { redisSkewMs: 2_000 }), ['CLOCK_SKEW'])
    assert.deepEqual(codes('dead', { redis: { ...FINE.redis!, dead: deadLetters(1) } }), ['DEAD_LETTERS'])
  })

  it('says how old a figure is, and what is not known', () => {
    assert.equal(CHECKS.dead({ ...FINE, redis: { ...FINE.redis!, dead: deadLetters(2, 9_000) } }).age, 9)
    assert.equal(CHECKS.dead({ ...FINE, redis: { ...FINE.redis!, dead: deadLetters(2, 900) } }).age, undefined)
    const old = [{ kind: 'order_pay', count: 3, ageMs: 6_000, agoMs: 4_000 }]
    assert.equal(CHECKS.overdue({ ...FINE, postgres: { ...FINE.postgres!, overdue: old } }).age, 4)

    const nothing = { answers: false, readAgoMs: undefined, dead: undefined, overdue: undefined, lateness: undefined }
    const silent = { ...FINE, redis: nothing, redisSkewMs: undefined, lateness: undefined, sweep: undefined, sweepUnknown: true }
    for (const name of ['overdue', 'lateness', 'sweep', 'dead'] as const) {
      assert.deepEqual(CHECKS[name](silent).codes, ['NOT_LOOKED_AT'], name)
      assert.equal(CHECKS[name](silent).state, 'ok', name)
    }
    const unread = { ...FINE.postgres!, notLookedAt: ['a', 'b'] }
    assert.deepEqual(CHECKS.overdue({ ...FINE, postgres: unread }).codes, ['NOT_LOOKED_AT'])
    assert.deepEqual(CHECKS.overdue({ ...FINE, ...down(0) }).codes, ['NOT_LOOKED_AT'])
  })
})
