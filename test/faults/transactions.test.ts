// A deadline is armed when the shop's transaction has committed for good, never after a rollback, whatever the shop's own hooks do; and a
// process that dies between the commit and the arming is made up for by the sweep's horizon.

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { Sequelize, type Transaction } from 'sequelize'
import { openShop } from '../support/shop.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { waitUntil } from '../support/waiting.js'
import { confirmed, confirming, countIn, EVERY_SECOND, shipUnarmed, wereNotLate, wereOnTime } from './confirming.js'
import { portOf, withPort } from './own-worker.js'
import { scriptRequest } from './script-request.js'
import { startShopProcess } from './shop-process.js'

describe('In a transaction of the shop’s', () => {
  const open = () => openShop(confirming())
  type OpenShop = Awaited<ReturnType<typeof open>>

  const isArmed = async (shop: OpenShop, id: number): Promise<boolean> =>
    (await shop.redis.client.exists(shop.key(`order_confirm:${id}`))) === 1

  const schedule = (shop: OpenShop, id: number, transaction: Transaction) =>
    shop.timers.schedule('order_confirm', id, { after: '1h', transaction })

  it('a deadline is armed after the commit and not before', async () => {
    const shop = await open()
    const id = await shop.order({ status: 4 })
    await shop.database.sequelize.transaction(async (transaction) => {
      const timer = await schedule(shop, id, transaction)
      assert.equal(timer.armed, 'on commit')
      assert.equal(await isArmed(shop, id), false)
    })
    assert.equal(await isArmed(shop, id), true)
    await shop.close()
  })

  it('a deadline that is rolled back is never armed and not on the row', async () => {
    const shop = await open()
    const id = await shop.order({ status: 4 })
    const rolledBack = shop.database.sequelize.transaction(async (transaction) => {
      await schedule(shop, id, transaction)
      throw new Error('changed my mind')
    })
    await assert.rejects(rolledBack, /changed my mind/)
    assert.equal(await isArmed(shop, id), false)
    assert.equal(await shop.timers.remaining('order_confirm', id), null)
    await shop.close()
  })

  it('a deadline in a savepoint that is rolled back is not armed, the outer one is', async () => {
    const shop = await open()
    const [outer, inner] = [await shop.order({ status: 4 }), await shop.order({ status: 4 })]
    await shop.database.sequelize.transaction(async (transaction) => {
      await schedule(shop, outer, transaction)
      const nested = shop.database.sequelize.transaction({ transaction }, async (savepoint) => {
        await schedule(shop, inner, savepoint)
        throw new Error('not that one')
      })
      await assert.rejects(nested, /not that one/)
      assert.equal(await isArmed(shop, outer), false)
    })
    assert.equal(await isArmed(shop, outer), true)
    assert.equal(await isArmed(shop, inner), false)
    assert.equal(await shop.timers.remaining('order_confirm', inner), null)
    await shop.close()
  })

  it('a nested transaction’s deadline is armed after the outer commit and not after its own', async () => {
    const shop = await open()
    const id = await shop.order({ status: 4 })
    await shop.database.sequelize.transaction(async (transaction) => {
      await shop.database.sequelize.transaction({ transaction }, (savepoint) => schedule(shop, id, savepoint))
      assert.equal(await isArmed(shop, id), false)
    })
    assert.equal(await isArmed(shop, id), true)
    await shop.close()
  })

  it('a deadline is not armed if COMMIT itself fails', async () => {
    const shop = await open()
    await shop.database.client.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused at the commit'; END $$;
      CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
    const id = await shop.order({ status: 4 })
    const failed = shop.database.sequelize.transaction((transaction) => schedule(shop, id, transaction))
    await assert.rejects(failed, /refused at the commit/)
    assert.equal(await isArmed(shop, id), false)
    await shop.close()
  })

  it('a deadline is armed although the shop’s own afterCommit throws', async () => {
    const shop = await open()
    const id = await shop.order({ status: 4 })
    const committed = shop.database.sequelize.transaction(async (transaction) => {
      transaction.afterCommit(() => {
        throw new Error('the mail server is down')
      })
      await schedule(shop, id, transaction)
    })
    await assert.rejects(committed, /the mail server is down/)
    assert.equal(await isArmed(shop, id), true)
    await shop.close()
  })

  it('a transaction that is begun and committed without a callback is followed too', async () => {
    const shop = await open()
    const [kept, dropped] = [await shop.order({ status: 4 }), await shop.order({ status: 4 })]
    const one = await shop.database.sequelize.transaction()
    await schedule(shop, kept, one)
    await one.commit()
    const two = await shop.database.sequelize.transaction()
    await schedule(shop, dropped, two)
    await two.rollback()
    assert.equal(await isArmed(shop, kept), true)
    assert.equal(await isArmed(shop, dropped), false)
    await shop.close()
  })

  it('CLS passes its transaction on, and a call with null stays out of it', async () => {
    const storage = new AsyncLocalStorage<Map<string, unknown>>()
    Sequelize.useCLS({
      get: (key: string) => storage.getStore()?.get(key),
      set: (key: string, value: unknown) => void storage.getStore()?.set(key, value),
      run: (work: () => unknown) => storage.run(new Map(storage.getStore()), work),
      bind: (work: unknown) => work,
    })
    try {
      const shop = await open()
      const [inside, outside] = [await shop.order({ status: 4 }), await shop.order({ status: 4 })]
      const rolledBack = shop.database.sequelize.transaction(async () => {
        assert.equal((await shop.timers.schedule('order_confirm', inside, { after: '1h' })).armed, 'on commit')
        assert.equal((await shop.timers.schedule('order_confirm', outside, { after: '1h', transaction: null })).armed, true)
        throw new Error('changed my mind')
      })
      await assert.rejects(rolledBack, /changed my mind/)
      assert.equal(await isArmed(shop, inside), false)
      assert.equal(await isArmed(shop, outside), true)
      await shop.close()
    } finally {
      delete (Sequelize as unknown as { _cls?: unknown })._cls
    }
  })

  it('a commit that comes after the deadline is settled at once', async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: false })
    const id = await shop.order({ status: 4 })
    await shop.database.sequelize.transaction(async (transaction) => {
      await shop.timers.schedule('order_confirm', id, { after: 200, transaction })
      const end = performance.now() + 600
      await waitUntil(() => performance.now() > end)
      assert.deepEqual(worker.settled, [])
    })
    await confirmed(shop, 1)
    await shop.close()
  })

  it('an order that was committed and never armed is armed by the sweep before it is due, whoever wrote its row', async () => {
    const shop = await open()
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    const ids = await shipUnarmed(shop.database, 50, 5000)
    await waitUntil(() => isArmed(shop, ids[49]!))
    assert.equal(await countIn(shop.database, 5), 0)
    await confirmed(shop, 50)
    await wereOnTime(shop.database, ids, worker)
    await shop.close()
  })

  it('a process that dies between the commit and the arming loses no order', async () => {
    const proxy = await TcpProxy.start(portOf(process.env.REDIS_URL as string))
    const shop = await open()
    const dying = await startShopProcess({
      databaseUrl: shop.database.url,
      schema: shop.database.schema,
      redisUrl: withPort(shop.redis.url, proxy.port),
      prefix: shop.redis.prefix,
    })
    const held = proxy.hold(scriptRequest('orderTimersArm'))
    const id = await shop.order({ status: 4 })
    dying.send({ schedule: { id, after: 2500 } })
    await held.seen
    await dying.kill()
    assert.notEqual(await shop.timers.remaining('order_confirm', id), null)
    assert.equal(await isArmed(shop, id), false)
    await shop.worker({ fallback: EVERY_SECOND })
    await confirmed(shop, 1)
    await wereNotLate(shop.database, [id])
    await shop.close()
    await proxy.stop()
  })
})
