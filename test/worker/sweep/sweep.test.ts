import assert from 'node:assert/strict'
import { sweepOnce } from '../../../lib/admin/sweep-once.js'
import { startExpiryWorker, transition } from '../../../lib/index.js'
import { runtimeOf } from '../../support/runtime.js'
import { openShop, type Shop } from '../../support/shop.js'
import { waitUntil } from '../../support/waiting.js'

const CONFIRM = { from: 4, to: 5, deadline: 'confirmDueAt', after: '24h' } as const

describe('one sweep', () => {
  let shop: Shop<never>

  afterEach(() => shop.close())

  const open = async (options: object = {}) => {
    shop = (await openShop(({ Order }) => ({ order_confirm: transition(Order, { ...CONFIRM, ...options } as typeof CONFIRM) }))) as never
  }
  const orders = (count: number, confirmDueAt: Date | null) =>
    shop.database.Order.bulkCreate(Array.from({ length: count }, () => ({ status: 4, confirmDueAt })))
  const inFrom = () => shop.database.Order.count({ where: { status: 4 } })

  it('settles all orders that were due at one instant, however many pages they fill', async () => {
    await open()
    await orders(2_500, new Date(Date.now() - 60_000))
    await sweepOnce(runtimeOf(shop.timers))
    assert.equal(await inFrom(), 0)
  })

  it('gives all orders a deadline that "backfill" fills, however many batches they are', async () => {
    await open({ backfill: true })
    await orders(1_500, null)
    await sweepOnce(runtimeOf(shop.timers))
    assert.equal(await shop.database.Order.count({ where: { confirmDueAt: null } }), 0)
  })

  it('asks "after" for a few hundred orders in a transaction, and writes what it says of several by one statement', async () => {
    await open({ backfill: true, after: () => '1h' })
    await orders(450, null)
    await sweepOnce(runtimeOf(shop.timers))
    const { rows } = await shop.database.client.query(
      'SELECT count(*)::int AS orders FROM orders WHERE "confirmDueAt" IS NOT NULL GROUP BY xmin::text, cmin::text ORDER BY 1',
    )
    assert.deepEqual(
      rows.map((row) => row.orders),
      [50, 200, 200],
    )
  })

  it('is followed by another where one is asked for while it runs', async () => {
    let begin = () => {}
    let end = () => {}
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    await open({
      run: async () => {
        begin()
        await ended
      },
    })
    const worker = await shop.worker({ fallback: false })
    await orders(1, new Date(Date.now() - 60_000))
    const first = worker.sweepNow()
    await begun
    await orders(1, new Date(Date.now() - 60_000))
    void worker.sweepNow()
    end()
    await first
    await waitUntil(async () => (await inFrom()) === 0)
  })

  it('lets a worker be ready once one has ended that began after its start, also where each is asked for again before it ends', async () => {
    const ends: (() => void)[] = []
    await open({ run: () => new Promise<void>((resolve) => ends.push(resolve)) })
    const endNext = async () => {
      await waitUntil(() => ends.length > 0)
      ends.shift()?.()
    }
    await orders(1, new Date(Date.now() - 60_000))
    const worker = startExpiryWorker(shop.timers, { fallback: false })
    let isReady = false
    void worker.ready.then(() => {
      isReady = true
    })
    // Each sweep has an order to wait for, and the next one is asked for meanwhile.
    for (let n = 0; n < 3; n += 1) {
      await waitUntil(() => ends.length > 0)
      await orders(1, new Date(Date.now() - 60_000))
      const asked = worker.sweepNow()
      await endNext()
      if (n === 1) await waitUntil(() => isReady) // the subscription had asked for the first already
      void asked
    }
    assert.ok(isReady)
    await endNext()
    await worker.stop()
  })
})
