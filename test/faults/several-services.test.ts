// Several services on one database and one Redis: workers with other rules, old ones during a deploy, two shops with prefixes of their own,
// the package in two copies. Nobody touches, drops or holds up what he has no rule for.

import assert from 'node:assert/strict'
import { orderTimers, startExpiryWorker, transition } from '../../lib/index.js'
import { isSwept } from '../../lib/rules/rule.js'
import type { Database } from '../support/database.js'
import { runtimeOf } from '../support/runtime.js'
import { makeTimers, openShop, watched } from '../support/shop.js'
import { holdsFor, waitUntil } from '../support/waiting.js'
import { confirmed, confirming, countIn, EVERY_SECOND, ship, shipUnarmed, wereNotLate } from './confirming.js'

const LEDGER_DEADLINE = `CASE OLD.status WHEN 1 THEN OLD."createdAt" + interval '600 ms' ELSE OLD."confirmDueAt" END`

const paying = ({ Order }: Database) => ({ order_pay: transition(Order, { from: 1, to: 0, since: 'createdAt', after: 600 }) })

describe('Beside other services', () => {
  it('a worker with other rules leaves unknown kinds alone and is not delayed by them', async () => {
    const shop = await openShop(confirming(), { database: { ledger: { deadline: LEDGER_DEADLINE } } })
    const other = makeTimers(paying(shop.database), { redis: shop.redis.url, prefix: shop.redis.prefix })
    const stranger = watched(startExpiryWorker(other, { fallback: EVERY_SECOND }))
    await stranger.ready
    const unpaid = await shop.order({ status: 1 })
    await other.schedule('order_pay', unpaid)
    await ship(shop, 30, 400)
    await waitUntil(async () => (await shop.statusOf(unpaid)) === 0)
    await holdsFor(1000, async () => (await countIn(shop.database, 5)) === 0, { every: 100 })
    assert.equal(stranger.health().kinds.order_confirm, undefined)

    const knowing = await shop.worker()
    await confirmed(shop, 30)
    assert.equal(knowing.settled.length, 30)
    await stranger.stop()
    await other.close()
    await shop.close()
  })

  it('in a rolling deploy the old workers go on with the old rules and the new ones take the new', async () => {
    const shop = await openShop((database) => ({ ...confirming()(database), ...paying(database) }), {
      database: { ledger: { deadline: LEDGER_DEADLINE } },
    })
    const old = makeTimers(confirming()(shop.database), { redis: shop.redis.url, prefix: shop.redis.prefix })
    const workers = [watched(startExpiryWorker(old)), watched(startExpiryWorker(old)), await shop.worker()]
    await Promise.all(workers.map((worker) => worker.ready))
    const unpaid = await Promise.all(Array.from({ length: 20 }, () => shop.order({ status: 1 })))
    await Promise.all(unpaid.map((id) => shop.timers.schedule('order_pay', id)))
    const ids = await ship(shop, 60, 500)
    await waitUntil(async () => (await countIn(shop.database, 0)) === 20)
    await confirmed(shop, 60)
    await wereNotLate(shop.database, ids)
    assert.deepEqual(
      workers.slice(0, 2).flatMap(({ settled }) => settled.filter(({ kind }) => kind === 'order_pay')),
      [],
    )
    await Promise.all(workers.slice(0, 2).map((worker) => worker.stop()))
    await old.close()
    await shop.close()
  })

  it('two shops with prefixes of their own and the same kinds and ids never meet', async () => {
    const [one, two] = [await openShop(confirming()), await openShop(confirming())]
    const [ofOne, ofTwo] = [await one.worker(), await two.worker()]
    const idsOfOne = await ship(one, 20, 400)
    const idsOfTwo = await ship(two, 20, 60_000)
    assert.deepEqual(idsOfOne, idsOfTwo)
    await confirmed(one, 20)
    await holdsFor(500, async () => (await countIn(two.database, 5)) === 0, { every: 100 })
    assert.deepEqual([ofOne.settled.length, ofTwo.settled.length], [20, 0])
    await Promise.all([one.close(), two.close()])
  })

  it('five workers sweep the same second, every order is settled once', async () => {
    const shop = await openShop(confirming({ run: async () => {} }), { redis: false, database: { pool: { max: 10 } } })
    await shop.database.Order.bulkCreate(Array.from({ length: 1000 }, () => ({ status: 4, confirmDueAt: new Date(Date.now() - 1000) })))
    await Promise.all(Array.from({ length: 5 }, () => shop.worker({ fallback: EVERY_SECOND })))
    await confirmed(shop, 1000, 10_000)
    await shop.close()
  })

  it('of three workers that listen to the same keys, one settles each order', async () => {
    const shop = await openShop(({ Order }) => ({ order_confirm: transition(Order, { from: 4, to: 5, deadline: false }) }))
    const workers = [await shop.worker(), await shop.worker(), await shop.worker()]
    const ids = await Promise.all(Array.from({ length: 50 }, () => shop.order({ status: 4 })))
    for (const id of ids) await shop.redis.client.set(shop.key(`order_confirm:${id}`), '1', 'PX', 600)
    await waitUntil(async () => (await countIn(shop.database, 5)) === 50, { within: 10_000 })
    assert.equal((await shop.database.ledger.changes()).length, 50)
    assert.equal(workers.flatMap(({ settled }) => settled).length, 50)
    await shop.close()
  })

  it('timers that are switched off write rows, and the worker of another process settles them', async () => {
    const shop = await openShop(confirming())
    const silent = orderTimers({
      logger: false,
      redis: shop.redis.url,
      prefix: shop.redis.prefix,
      enabled: false,
      rules: confirming()(shop.database),
    })
    const id = await shop.order({ status: 4 })
    assert.equal((await silent.schedule('order_confirm', id, { after: 200 })).armed, false)
    const idle = watched(startExpiryWorker(silent, { fallback: EVERY_SECOND }))
    await idle.ready
    await holdsFor(1300, async () => (await shop.statusOf(id)) === 4, { every: 100 })
    await shop.worker({ fallback: EVERY_SECOND })
    await confirmed(shop, 1)
    await idle.stop()
    await silent.close()
    await shop.close()
  })

  it('a sweep waits for no sweep of another shop in the same database, though it has the same tables', async () => {
    const shops = await Promise.all([openShop(confirming()), openShop(confirming())])
    for (const shop of shops) await shipUnarmed(shop.database, 1, -1000)
    const found = async ({ database, timers }: (typeof shops)[number], meanwhile: () => Promise<unknown> = async () => {}) =>
      database.sequelize.transaction(async (transaction) => {
        const query = { elapsedMs: 0, after: undefined, limit: 10, lock: 'sweep' }
        const rule = runtimeOf(timers).rule('order_confirm')
        const page = isSwept(rule) ? await rule.row.deadline.pending.overdue(transaction, query) : undefined
        await meanwhile()
        return page?.ids.length
      })
    const [one, other] = shops
    assert.equal(
      await found(one, async () => {
        assert.equal(await found(other), 1)
        assert.equal(await found(one), 0, 'its own sweeps read one at a time')
      }),
      1,
    )
    for (const shop of shops) await shop.close()
  })
})
