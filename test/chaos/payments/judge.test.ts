import assert from 'node:assert/strict'
import { type JudgedOrder, judgePayments } from '../../../chaos/payments/judge.js'
import type { Session } from '../../../chaos/payments/service.js'

const session = (state: Session['state'], refunded = false): Session => ({ id: 's', orderId: '1', state, refunded })
const order = (more: Partial<JudgedOrder>): JudgedOrder => {
  return {
    id: '1',
    status: 'cancelled',
    isScheduled: true,
    writes: 1,
    sessions: [session('expired')],
    enquiries: { firstAt: 0, asked: 1, yes: 1, no: 0 },
    gone: false,
    ...more,
  }
}
const broken = (more: Partial<JudgedOrder>, asking: 'close' | 'look' = 'close', spared = 0) =>
  judgePayments([order(more)], asking, spared).anomalies

describe('the judge of the payments shop', () => {
  it('finds nothing wrong with what is cancelled unpaid, or paid', () => {
    assert.deepEqual(broken({}), [])
    assert.deepEqual(broken({ status: 'paid', sessions: [session('paid')], enquiries: undefined }), [])
  })

  it('leaves alone what is paid and was never moved, since the webhook was lost', () => {
    const verdict = judgePayments(
      [order({ status: 'placed', sessions: [session('paid')], enquiries: { firstAt: 0, asked: 3, yes: 0, no: 3 } })],
      'close',
      0,
    )
    assert.deepEqual([verdict.anomalies, verdict.waiting], [[], 1])
  })

  it('misses an order that was scheduled and never settled, and not one for which no call was acknowledged', () => {
    const unpaid = { status: 'placed', enquiries: undefined }
    assert.match(broken(unpaid)[0] ?? '', /never settled/)
    assert.deepEqual(broken({ ...unpaid, isScheduled: false }), [])
  })

  it('misses the money of an order that is paid without any', () => {
    assert.match(broken({ status: 'paid' })[0] ?? '', /no money/)
  })

  it('leaves alone what the service has deleted, unless it was still cancelled', () => {
    const verdict = judgePayments([order({ status: 'placed', gone: true, enquiries: { firstAt: 0, asked: 3, yes: 0, no: 3 } })], 'close', 0)
    assert.deepEqual([verdict.anomalies, verdict.waiting, verdict.gone], [[], 0, 1])
    assert.match(broken({ gone: true, enquiries: { firstAt: 0, asked: 3, yes: 0, no: 3 } })[0] ?? '', /unverified/)
  })

  it('counts refunds and lost money where ask only looks, and takes them for broken where it closes', () => {
    const sessions = [session('paid', true)]
    assert.match(broken({ sessions })[0] ?? '', /both paid/)
    assert.match(broken({ sessions: [session('paid')] })[1] ?? '', /without an order or a refund/)
    const looked = judgePayments([order({ sessions }), order({ id: '2', sessions: [session('paid')] })], 'look', 0)
    assert.deepEqual([looked.anomalies, looked.raceRefunds, looked.unrefunded], [[], 1, 1])
  })

  it('finds what was cancelled unverified, never settled, or asked about again without a reason', () => {
    assert.match(broken({ enquiries: undefined })[0] ?? '', /unverified/)
    assert.match(broken({ status: 'placed' })[0] ?? '', /never settled/)
    assert.match(
      broken({ enquiries: { firstAt: 0, asked: 4, yes: 4, no: 0 } })[0] ?? '',
      /2 orders were asked about again without a reason/,
    )
    assert.deepEqual(broken({ enquiries: { firstAt: 0, asked: 4, yes: 4, no: 0 } }, 'close', 2), [])
  })
})
