import assert from 'node:assert/strict'
import { Moment } from '../../../lib/moment.js'
import type { BoundRule } from '../../../lib/rules/rule.js'
import { MemoryClaims } from '../../../lib/worker/settling/memory-claims.js'
import { OverdueOrders } from '../../../lib/worker/sweep/overdue-orders.js'
import { shiftClock } from '../../support/shifted-clock.js'

const RULE = { kind: 'order_confirm' } as BoundRule
const FAILURE = { attempts: 1, error: 'no stock', at: new Date(0).toISOString(), dead: false }

const found = (ids: string[], deadline = 1_000) => ({ ids, deadlineOf: () => deadline })

describe('a claim in memory', () => {
  afterEach(() => shiftClock(0))

  it('is held until it ends, and then its orders can be claimed again', async () => {
    const claims = new MemoryClaims()
    const first = claims.overdue(RULE, found(['1', '2']), new Moment())
    assert.deepEqual(claims.overdue(RULE, found(['1', '2', '3']), new Moment()).ids, ['3'])
    assert.deepEqual(claims.overdue({ ...RULE, kind: 'order_pay' }, found(['1']), new Moment()).ids, ['1'])
    await first.finish([{ id: '1', delayMs: 250 }])
    assert.deepEqual(claims.overdue(RULE, found(['1', '2']), new Moment()).ids, ['1', '2'])
  })

  it('lapses if the process stood still, and not by itself', async () => {
    const { lease } = new MemoryClaims().overdue(RULE, found(['1']), new Moment())
    shiftClock(9_000)
    assert.deepEqual([lease.held, await lease.renew()], [true, true])
    shiftClock(18_000)
    assert.equal(lease.held, true)
    shiftClock(30_000)
    assert.deepEqual([lease.held, await lease.renew()], [false, false])
  })

  it('is not made of an order that waits for its next attempt, nor of a dead letter', async () => {
    const claims = new MemoryClaims()
    await claims.overdue(RULE, found(['1', '2', '3']), new Moment()).finish([
      { id: '1', delayMs: 60_000, failure: FAILURE },
      { id: '2', failure: { ...FAILURE, dead: true } },
      { id: '3', delayMs: 0, failure: FAILURE },
    ])
    const again = claims.overdue(RULE, found(['1', '2', '3']), new Moment())
    assert.deepEqual(again.ids, ['3'])
    assert.deepEqual(await again.failures(['3', '4']), new Map([['3', FAILURE]]))
  })

  it('is made of a dead letter again once its deadline is another: its attempts are counted from the first', async () => {
    const claims = new MemoryClaims()
    await claims.overdue(RULE, found(['1'], 1_000), new Moment()).finish([{ id: '1', failure: { ...FAILURE, dead: true } }])
    assert.deepEqual(claims.overdue(RULE, found(['1'], 1_000), new Moment()).ids, [])
    const again = claims.overdue(RULE, found(['1'], 1_001), new Moment())
    assert.deepEqual(again.ids, ['1'])
    assert.deepEqual(await again.failures(['1']), new Map())
  })

  it('knows nothing of earlier failures once Redis counts them', async () => {
    const claims = new MemoryClaims()
    const dead = { ...FAILURE, dead: true }
    await claims.overdue(RULE, found(['1', '2']), new Moment()).finish([
      { id: '1', failure: dead },
      { id: '2', failure: dead },
    ])
    const index = { overdue: async () => ({ work: { ids: ['1'] }, settledBefore: 0, unclaimed: ['2'] }) }
    const sweep = new OverdueOrders({ memory: claims, claims: index, connection: { usable: true } } as never)
    await sweep.claim(RULE as never, found(['1', '2']), new Moment(), 'first')
    assert.deepEqual(claims.overdue(RULE, found(['1', '2']), new Moment()).ids, ['1'])
  })

  it('forgets the earliest failures beyond 10,000', async () => {
    const claims = new MemoryClaims()
    const ids = Array.from({ length: 10_001 }, (_, i) => String(i))
    await claims.overdue(RULE, found(ids), new Moment()).finish(ids.map((id) => ({ id, failure: { ...FAILURE, dead: true } })))
    assert.deepEqual(claims.overdue(RULE, found(ids), new Moment()).ids, ['0'])
  })
})
