// `stop()` under load: what is in hand is finished, what is not is left to others, nothing is left open, and the process ends by itself.

import assert from 'node:assert/strict'
import { startExpiryWorker } from '../../lib/index.js'
import { type RunningWorker, runningWorkers } from '../../lib/worker/running.js'
import { RedisServer } from '../support/redis-server.js'
import { runtimeOf } from '../support/runtime.js'
import { openShop, watched } from '../support/shop.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { waitUntil } from '../support/waiting.js'
import { startWorkerProcess } from '../support/worker-process.js'
import { confirmed, confirming, countIn, EVERY_SECOND, ship, shipUnarmed } from './confirming.js'
import { createEffects, effectsWereOnce, portOf, withPort, workerConfig } from './own-worker.js'

describe('Told to stop', () => {
  it('under load, a worker’s process ends by itself, and another settles the rest without waiting for a lease', async () => {
    const shop = await openShop(confirming())
    await createEffects(shop)
    const config = { ...workerConfig(shop, 'worker 1'), leaseMs: 60_000 }
    const first = await startWorkerProcess(config)
    await shipUnarmed(shop.database, 3000, 200)
    await waitUntil(async () => (await countIn(shop.database, 5)) > 100)
    assert.equal(await first.stop(), 0)
    const left = 3000 - (await countIn(shop.database, 5))
    assert.ok(left > 0, 'it was done before it was told to stop')
    await startWorkerProcess({ ...config, name: 'worker 2' }).then(async (second) => {
      await confirmed(shop, 3000, 15_000)
      assert.equal(await second.stop(), 0)
    })
    await effectsWereOnce(shop, 3000)
    await shop.close()
  }).timeout(60_000)

  it('if Redis never answered, a worker’s process still ends', async () => {
    const shop = await openShop(confirming())
    await createEffects(shop)
    const worker = await startWorkerProcess({ ...workerConfig(shop, 'worker 1'), redisUrl: 'redis://127.0.0.1:1' })
    assert.equal(await worker.stop(), 0)
    await shop.close()
  })

  it('with Redis frozen, a worker’s process still ends', async () => {
    const redis = await RedisServer.start()
    const shop = await openShop(confirming(), { redisUrl: redis.url })
    await createEffects(shop)
    const worker = await startWorkerProcess({ ...workerConfig(shop, 'worker 1'), redisUrl: redis.url })
    await ship(shop, 5, 60_000)
    redis.pause()
    assert.equal(await worker.stop(), 0)
    redis.resume()
    await shop.close()
    await redis.stop()
  }).timeout(30_000)

  it('with Postgres silent and a batch running, stop() returns within twelve seconds', async () => {
    const proxy = await TcpProxy.start(portOf(process.env.DATABASE_URL as string))
    const silenced = { url: withPort(process.env.DATABASE_URL as string, proxy.port) }
    let entered = false
    const run = () => {
      entered = true
      proxy.silence()
    }
    const shop = await openShop(confirming({ run }), { database: silenced })
    const worker = await shop.worker({ fallback: EVERY_SECOND })
    await ship(shop, 1, 100)
    await waitUntil(() => entered)
    const begin = performance.now()
    await worker.stop()
    assert.ok(performance.now() - begin < 12_000)
    assert.deepEqual(worker.settled, [])
    proxy.reset()
    proxy.pass()
    await shop.close()
    await proxy.stop()
  }).timeout(40_000)

  it('with an exhausted pool, and a sweep and a look at locked rows that wait for it, stop() returns within six seconds', async () => {
    const shop = await openShop(confirming(), { database: { pool: { max: 2, acquire: 60_000 } } })
    const worker = await shop.worker({ fallback: false })
    const { sequelize } = shop.database
    const kept = await Promise.all([sequelize.transaction(), sequelize.transaction()])
    void worker.sweepNow()
    const [
      {
        parts: { lockedRows },
      },
    ] = runningWorkers(runtimeOf(shop.timers)) as [RunningWorker]
    const { since } = lockedRows as unknown as { since: Map<string, Map<string, number>> }
    since.set('order_confirm', new Map([['1', Number.NEGATIVE_INFINITY]])) // as if it were locked for long
    void lockedRows.look()
    const begin = performance.now()
    await worker.stop()
    assert.ok(performance.now() - begin < 6_000)
    for (const transaction of kept) await transaction.rollback()
    await shop.close()
  }).timeout(90_000)

  it('while a rule hangs, it gives up after ten seconds, and the order is settled by the next worker', async () => {
    let hang = true
    const shop = await openShop(confirming({ timeout: '60s', run: () => (hang ? new Promise(() => {}) : undefined) }))
    const worker = await shop.worker({ lease: 1000, fallback: false })
    await ship(shop, 1, 100)
    await waitUntil(() => worker.health().busy > 0)
    const begin = performance.now()
    await worker.stop()
    assert.ok(performance.now() - begin < 12_000)
    assert.deepEqual(worker.settled, [])
    hang = false
    const next = await shop.worker({ fallback: EVERY_SECOND })
    await confirmed(shop, 1)
    assert.deepEqual(next.settled.length, 1)
    await shop.close()
  }).timeout(30_000)

  it('twice, it returns the same promise', async () => {
    const shop = await openShop(confirming())
    const worker = await shop.worker()
    assert.equal(worker.stop(), worker.stop())
    await worker.stop()
    assert.equal(worker.health().status, 'stopped')
    await shop.close()
  })

  it('before it is ready, it stops, settles nothing and still becomes ready', async () => {
    const shop = await openShop(confirming())
    await shipUnarmed(shop.database, 1, -1000)
    const worker = watched(startExpiryWorker(shop.timers))
    let ready = false
    void worker.ready.then(() => {
      ready = true
    })
    await worker.stop()
    assert.equal(worker.health().status, 'stopped')
    await worker.ready
    assert.ok(ready)
    assert.deepEqual(worker.settled, [])
    assert.equal(await countIn(shop.database, 4), 1)
    await shop.close()
  })

  it('while timers come due all the time, no order stays in the claim of a stopped worker', async () => {
    const shop = await openShop(confirming(), { database: { pool: { max: 8 } } })
    const ids = await ship(shop, 300, 800)
    for (let round = 0; round < 5; round += 1) {
      const worker = await shop.worker({ lease: 60_000, fallback: false })
      await waitUntil(() => worker.settled.length > 0 || worker.health().sweep.lastEndedAt !== undefined)
      await worker.stop()
    }
    await shop.worker({ lease: 60_000, fallback: EVERY_SECOND })
    await confirmed(shop, ids.length)
    await shop.close()
  })
})
