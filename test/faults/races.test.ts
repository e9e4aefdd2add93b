// Cancel, extend, confirm by hand and the expiry at the same instant, with two workers. Exactly one of them wins, and who lost is told.

import assert from 'node:assert/strict'
import { OrderTimersError, transition } from '../../lib/index.js'
import type { RuntimeRedis } from '../../lib/timers/runtime.js'
import type { Database } from '../support/database.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop } from '../support/shop.js'
import { turns } from '../support/turns.js'
import { holdsFor, waitUntil } from '../support/waiting.js'
import { confirmed, confirming, countIn, EVERY_SECOND, promisesHeld, ship } from './confirming.js'

const ORDERS = 150

/** Calls at once; the rest of the pool is the workers'. */
const AT_ONCE = 8

describe('At the very instant of the deadline', () => {
  const open = async () => {
    const shop = await openShop(confirming({ run: async () => {} }), { database: { pool: { max: 12 } } })
    await Promise.all([shop.worker({ fallback: EVERY_SECOND }), shop.worker({ fallback: EVERY_SECOND })])
    return shop
  }

  it('a cancellation either wins, and the order is never settled, or is refused as too late', async () => {
    const shop = await open()
    const ids = await ship(shop, ORDERS, 1000)
    const won = await atTheDeadline(shop, ids, (id) => shop.timers.cancel('order_confirm', id))
    await waitUntil(async () => (await countIn(shop.database, 5)) === ORDERS - won.size)
    await holdsFor(1500, async () => (await countIn(shop.database, 5)) === ORDERS - won.size, { every: 100 })
    const settled = new Set((await shop.database.ledger.changes()).map(({ id }) => Number(id)))
    assert.deepEqual(
      ids.filter((id) => settled.has(id) === won.has(id)),
      [],
    )
    await promisesHeld(shop.database)
    await shop.close()
  })

  it('an extension either wins, and the order is settled at its new deadline, or is refused as too late', async () => {
    const shop = await open()
    const ids = await ship(shop, ORDERS, 1000)
    const won = await atTheDeadline(shop, ids, (id) => shop.timers.extend('order_confirm', id, 800))
    await confirmed(shop, ORDERS)
    for (const { id, deadline } of await shop.database.ledger.changes()) {
      const extended = won.get(Number(id))
      if (extended) assert.equal(deadline?.getTime(), extended.deadline?.getTime())
    }
    await shop.close()
  })

  it('a confirmation by hand and the timer’s are one confirmation', async () => {
    const shop = await open()
    const ids = await ship(shop, ORDERS, 1000)
    const won = await atTheDeadline(shop, ids, async (id) => {
      const [count] = await shop.database.Order.update({ status: 5, note: 'by hand' }, { where: { id, status: 4 } })
      if (count === 0) throw new Error('too late')
      return count
    })
    await waitUntil(async () => (await countIn(shop.database, 5)) === ORDERS)
    const changes = await shop.database.ledger.changes()
    assert.equal(changes.length, ORDERS)
    assert.equal(await shop.database.Order.count({ where: { note: 'by hand' } }), won.size)
    await shop.close()
  })

  it('cancel, extend and schedule on the same orders leave no timer pending, and settle none early or twice', async () => {
    const shop = await open()
    const ids = await ship(shop, ORDERS, 1000)
    const calls = [
      (id: number) => shop.timers.cancel('order_confirm', id),
      (id: number) => shop.timers.extend('order_confirm', id, 300),
      (id: number) => shop.timers.schedule('order_confirm', id, { after: 500 }),
    ]
    const inTurn = turns(AT_ONCE)
    const outcomes = await Promise.all(calls.map((call) => atTheDeadline(shop, ids, call, inTurn)))
    await waitUntil(async () => (await pending(shop)) === 0)
    assert.ok(outcomes.every((won) => won.size <= ORDERS))
    await promisesHeld(shop.database)
    await shop.close()
  })

  it('orders whose timers Redis has lost to a late call are settled by the next sweeps', async () => {
    const shop = await open()
    const { index } = runtimeOf(shop.timers).redis as RuntimeRedis
    const ids = await ship(shop, 20, 300)
    await Promise.all(ids.map((id) => index.disarm('order_confirm', String(id), undefined, 1000)))
    await confirmed(shop, 20, 3000)
    await shop.close()
  })

  it('an order that leaves and comes back with a new deadline is settled only at the new one', async () => {
    const shop = await open()
    const ids = await ship(shop, ORDERS, 1000)
    const won = await atTheDeadline(shop, ids, async (id) => {
      const [count] = await shop.database.Order.update({ status: 2 }, { where: { id, status: 4 } })
      if (count === 0) throw new Error('too late')
      return shop.database.sequelize.transaction(async (transaction) => {
        await shop.database.Order.update({ status: 4 }, { where: { id, status: 2 }, transaction })
        return shop.timers.schedule('order_confirm', id, { after: 700, transaction })
      })
    })
    await waitUntil(async () => (await countIn(shop.database, 5)) === ORDERS)
    const byTimer = (await shop.database.ledger.changes()).filter(({ to }) => to === 5)
    assert.equal(byTimer.length, ORDERS)
    for (const { id, deadline } of byTimer) {
      const back = won.get(Number(id))
      if (back) assert.equal(deadline?.getTime(), back.deadline?.getTime())
    }
    assert.deepEqual(
      byTimer.filter(({ latenessMs }) => latenessMs === null || latenessMs < 0),
      [],
    )
    await shop.close()
  })

  it('events that are doubled, forged or early settle nothing before its time and nothing twice', async () => {
    const shop = await open()
    const ids = await ship(shop, 50, 1500)
    for (let round = 0; round < 10; round += 1) {
      const pipeline = shop.redis.client.pipeline()
      for (const id of ids) {
        const key = shop.key(`order_confirm:${id}`)
        pipeline.publish('__keyevent@0__:expired', key)
        if (round % 3 === 0) pipeline.set(key, '1', 'PX', 20)
        if (round % 3 === 1) pipeline.set(key, '1')
        if (round % 3 === 2) pipeline.del(key)
      }
      await pipeline.exec()
      await holdsFor(100, () => true)
    }
    await confirmed(shop, 50)
    const changes = (await shop.database.ledger.changes()).filter(({ to }) => to === 5)
    assert.equal(changes.length, 50)
    assert.deepEqual(
      changes.filter(({ latenessMs }) => latenessMs === null || latenessMs < 0),
      [],
    )
    await shop.close()
  })

  it('a key that somebody sets again just as it expires has its order settled once', async () => {
    const shop = await openShop(({ Order }) => ({ order_confirm: transition(Order, { from: 4, to: 5, deadline: false }) }))
    await shop.worker()
    const ids = await Promise.all(Array.from({ length: 50 }, () => shop.order({ status: 4 })))
    for (const id of ids) await shop.redis.client.set(shop.key(`order_confirm:${id}`), '1', 'PX', 400)
    const start = performance.now()
    await waitUntil(() => performance.now() - start > 395, { every: 1 })
    for (const id of ids) await shop.redis.client.set(shop.key(`order_confirm:${id}`), '1', 'PX', 1500)
    await waitUntil(async () => (await countIn(shop.database, 5)) === 50, { within: 10_000 })
    const changes = await shop.database.ledger.changes()
    assert.equal(changes.length, 50)
    await shop.close()
  })
})

/** Calls for each order within some milliseconds around its deadline. Returns what was acknowledged; anything but a refusal is an error. */
async function atTheDeadline<T>(
  shop: { database: Database },
  ids: readonly number[],
  call: (id: number) => Promise<T>,
  inTurn = turns(AT_ONCE),
): Promise<Map<number, T>> {
  const orders = await shop.database.Order.findAll({ where: { id: [...ids] } })
  const won = new Map<number, T>()
  await Promise.all(
    orders.map(async ({ id, confirmDueAt }, index) => {
      const at = (confirmDueAt?.getTime() ?? 0) - 12 + (index % 25)
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())))
      try {
        won.set(id, await inTurn(() => call(id)))
      } catch (error) {
        const refused = error instanceof OrderTimersError ? error.status === 409 : (error as Error).message === 'too late'
        assert.ok(refused, `order ${id}: ${error}`)
      }
    }),
  )
  return won
}

async function pending(shop: { database: Database }): Promise<number> {
  const sql = 'SELECT count(*)::int AS count FROM orders WHERE status = 4 AND "confirmDueAt" IS NOT NULL'
  return (await shop.database.client.query<{ count: number }>(sql)).rows[0]?.count ?? 0
}
