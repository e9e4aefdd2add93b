import assert from 'node:assert/strict'
import { deadPage, dropDead, listDead, retryDead } from '../../lib/admin/dead-letters.js'
import { transition } from '../../lib/index.js'
import { refused } from '../support/refused.js'
import { waitForEvent, waitUntil } from '../support/waiting.js'
import { type ActingShop, openActingShop, SUPPORT } from './actions/acting.js'

const CONFIRM = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' } as const
const CALLS = /^ +at .*dead-letters\.test\.ts/

describe('dead letters', () => {
  let shop: ActingShop<never>
  let failing: boolean
  let attempts: string[]

  beforeEach(() => {
    failing = true
    attempts = []
  })

  afterEach(() => shop.close())

  const run = ([order]: { id: number }[]) => {
    attempts.push(String(order?.id))
    if (failing) throw new Error(`attempt ${attempts.length}: ${'no stock '.repeat(100)}`)
  }
  const open = async (more: object = { deadline: 'confirmDueAt', after: '24h' }) => {
    shop = (await openActingShop(({ Order }) => ({
      order_confirm: transition(Order, { from: 4, to: 5, attempts: 1, run, ...more } as unknown as typeof CONFIRM),
    }))) as unknown as ActingShop<never>
  }
  /** So many orders on which the rule has failed for the last time, and the worker. */
  const buried = async (count = 1, values: object = {}) => {
    const orders = Array.from({ length: count }, () => ({ status: 4, confirmDueAt: new Date(Date.now() - 60_000), ...values }))
    await shop.database.Order.bulkCreate(orders)
    const worker = await shop.worker({ fallback: false })
    await waitUntil(async () => (await listDead(shop.runtime)).length === count)
    failing = false
    return worker
  }
  const page = () => deadPage(shop.runtime, 'order_confirm')

  it('keep the first error and the last, 500 characters of each, and the stack without the message', async () => {
    await open({ deadline: 'confirmDueAt', after: '24h', attempts: 2 })
    await buried()
    const [letter] = (await page()).letters
    const { error = '', firstError = '', stack = '', at, firstAt, ...rest } = letter ?? {}
    assert.match(error, /^attempt 2: no stock /)
    assert.match(firstError, /^attempt 1: no stock /)
    assert.deepEqual([error.length, firstError.length, rest], [500, 500, { kind: 'order_confirm', id: '1', attempts: 2 }])
    assert.ok(firstAt instanceof Date && at instanceof Date && firstAt < at)
    assert.match(stack, CALLS)
    assert.ok(stack.length <= 2_000 && !stack.includes('no stock'))
    const { firstError: listed } = (await shop.timers.dead())[0] ?? {}
    assert.equal(listed, firstError)
  })

  it('are put back on request, and that is recorded before and after', async () => {
    await open()
    const worker = await buried()
    const settled = waitForEvent(worker, 'settled')
    const { retried, notDead } = await retryDead(shop.runtime, 'order_confirm', ['1', '2'], SUPPORT)
    assert.deepEqual([retried, notDead], [['1'], [{ id: '2', why: 'it is no dead letter; `order-timers dead` lists those that are' }]])
    await settled
    assert.equal(await shop.statusOf(1), 5)
    const [entry] = await shop.recorded()
    const { action, state, count, orders, actor, endedAt } = entry ?? {}
    assert.deepEqual([action, state, count, actor], ['retry', 'done', 1, 'support'])
    assert.ok(typeof endedAt === 'number' && endedAt >= (entry?.at as number))
    assert.deepEqual(orders, [
      { id: '1', outcome: 'done' },
      { id: '2', outcome: 'refused', code: 'ERR_ORDER_TIMERS_NO_TIMER' },
    ])
    const { rows } = await shop.database.client.query('SELECT state, ends::text, order_ids FROM order_timers_actions ORDER BY id')
    assert.deepEqual(rows, [
      { state: 'asked', ends: null, order_ids: ['1', '2'] },
      { state: 'done', ends: '1', order_ids: ['1', '2'] },
    ])
  })

  it('are all put back in portions of 200, each recorded', async () => {
    await open()
    await buried(201)
    assert.equal((await retryDead(shop.runtime, 'order_confirm', undefined, SUPPORT)).retried.length, 201)
    assert.deepEqual(
      (await shop.recorded()).map(({ count }) => count),
      [1, 200],
    )
  })

  it('are discarded with their deadline, so that no sweep tries them again', async () => {
    await open()
    const worker = await buried(2)
    await shop.database.client.query('UPDATE orders SET status = 2 WHERE id = 2')
    const before = attempts.length
    const { orders } = await shop.act('discard', [{ id: 1 }, { id: 2 }, { id: 3 }])
    assert.deepEqual(
      orders.map(({ outcome, after, code }) => [outcome, after === null, code?.replace('ERR_ORDER_TIMERS_', '')]),
      [
        ['done', true, undefined],
        ['done', false, undefined], // it has left, and nothing tries it again
        ['refused', false, 'NO_TIMER'],
      ],
    )
    assert.deepEqual([await shop.deadlineOf(1), await listDead(shop.runtime)], [null, []])
    await worker.stop()
    await (await shop.worker()).stop()
    assert.deepEqual([attempts.length, await shop.statusOf(1), await shop.statusOf(2)], [before, 4, 2])
    assert.deepEqual(
      (await shop.recorded()).map(({ action, state, count }) => [action, state, count]),
      [['discard', 'done', 2]],
    )
  })

  it('are discarded in bulk, and failures are reported', async () => {
    await open({ since: 'createdAt', after: '15m' })
    await buried(2, { createdAt: new Date(Date.now() - 3_600_000) })
    await shop.database.client.query('UPDATE orders SET status = 2 WHERE id = 2')
    const { retried, notDead } = await dropDead(shop.runtime, 'order_confirm', undefined, SUPPORT)
    assert.deepEqual([retried, notDead.map(({ id }) => id)], [['2'], ['1']])
    assert.match(notDead[0]?.why as string, /the next sweep would find it again; change the row, or retry it$/)
    assert.deepEqual(
      (await listDead(shop.runtime)).map(({ id }) => id),
      ['1'],
    )
  })

  it('of rules whose timers are only in Redis are dropped', async () => {
    await open({ deadline: false, after: '1s' })
    await shop.database.Order.create({ status: 4 })
    await shop.timers.schedule('order_confirm' as never, 1, { after: 1 })
    const worker = await shop.worker({ fallback: false })
    await waitUntil(async () => (await listDead(shop.runtime)).length === 1)
    failing = false
    const { orders, count } = await shop.act('discard', [{ id: 1 }])
    assert.deepEqual([count, orders], [1, [{ id: '1', outcome: 'done' }]])
    assert.deepEqual([await listDead(shop.runtime), attempts, worker.settled], [[], ['1'], []])
  })

  it('stay unchanged if the action cannot be recorded', async () => {
    await open()
    await buried()
    await shop.database.client.query('DROP TABLE order_timers_actions')
    for (const action of ['retry', 'discard'] as const)
      assert.equal((await refused(() => shop.act(action, [{ id: 1 }]))).code, 'ERR_ORDER_TIMERS_NOT_RECORDED')
    assert.deepEqual([(await listDead(shop.runtime)).length, (await shop.deadlineOf(1)) !== null], [1, true])
  })

  it('are skipped if their deadline is no longer the one that was shown', async () => {
    await open()
    await buried()
    const { orders } = await shop.act('retry', [{ id: 1, deadline: Date.now() }])
    assert.deepEqual([orders[0]?.outcome, (await listDead(shop.runtime)).length], ['skipped', 1])
    const deadline = await shop.deadlineOf(1)
    assert.equal((await shop.act('retry', [{ id: 1, deadline }])).count, 1)
  })

  it('are paged by the next of a page, and by nothing else', async () => {
    await open()
    await buried(3)
    const first = await deadPage(shop.runtime, 'order_confirm', { limit: 2 })
    const second = await deadPage(shop.runtime, 'order_confirm', { limit: 2, after: first.next })
    assert.deepEqual([first.letters.length, first.total, second.letters.length, second.next], [2, 3, 1, undefined])
    assert.deepEqual([...first.letters, ...second.letters].map(({ id }) => id).sort(), ['1', '2', '3'])
    for (const options of [{ limit: 0 }, { limit: 201 }, { after: '-inf' }])
      assert.equal((await refused(() => deadPage(shop.runtime, 'order_confirm', options))).code, 'ERR_ORDER_TIMERS_INVALID_ACTION')
    assert.equal((await refused(() => deadPage(shop.runtime, 'other'))).code, 'ERR_ORDER_TIMERS_UNKNOWN_KIND')
  })
})
